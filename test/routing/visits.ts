import type { VisitorSegments } from 'express-aam-segments';
import { cookieOf, ECID, GOLF, HIGH_VALUE } from '../helpers/site';
import { createGuardedSite, type DcsAnswer, type Options } from './guarded-site';

export interface Visit {
  readonly status: string;
  readonly reason?: string;
  readonly isIn: boolean;
  /** The answer of the DCS on the first visit. */
  readonly known: DcsAnswer;
  /** Its answer on a second visit, if this status takes one. */
  readonly later?: DcsAnswer;
  readonly cookie?: string;
  readonly options?: Options;
}

const IN = [HIGH_VALUE, GOLF];
const OUT = [GOLF];
const rejection = (code: number) => ({ errors: [{ code, msg: '' }] });
const at = (status: string, reason: string | undefined, visit: Omit<Visit, 'status' | 'reason' | 'isIn'>): Visit => ({
  status,
  isIn: false,
  ...visit,
  ...(reason && { reason }),
});
const member = (visit: Visit): Visit => ({ ...visit, isIn: true });
const alwaysRefreshed = { cache: { ttlMs: 0, emptyTtlMs: 0 } };
const refreshAwaited = { cache: { ttlMs: 0, staleWhileRevalidateMs: 0 } };
const impatient = { maxWaitMs: 0 };

/** Every status that a visit can have, with and without the segment. */
export const VISITS: readonly Visit[] = [
  member(at('fresh', undefined, { known: IN })),
  at('fresh', undefined, { known: OUT }),
  at('fresh', undefined, { known: [] }),
  member(at('cached', undefined, { known: IN, later: 500 })),
  at('cached', undefined, { known: OUT, later: IN }),
  member(at('stale', 'revalidating', { known: IN, later: OUT, options: alwaysRefreshed })),
  member(at('stale', 'http-status', { known: IN, later: 500, options: refreshAwaited })),
  at('stale', 'revalidating', { known: OUT, later: IN, options: alwaysRefreshed }),
  at('stale', 'http-status', { known: OUT, later: 500, options: refreshAwaited }),
  at('unknown', 'pending', { known: IN, options: impatient }),
  at('unknown', 'timeout', { known: 'hangs', options: { dcs: { timeoutMs: 5 } } }),
  at('unknown', 'http-status', { known: 500 }),
  at('anonymous', 'no-id', { known: IN, cookie: 'theme=dark' }),
  at('anonymous', 'bad-id', { known: IN, cookie: cookieOf('12345') }),
  at('excluded', 'opted-out', { known: IN, cookie: cookieOf(ECID, 9, 'global') }),
  at('excluded', 'opted-out', { known: IN, later: IN, cookie: cookieOf(ECID, 9, 'global') }),
  at('excluded', 'skipped', { known: IN, options: { skip: () => true } }),
  at('excluded', 'opted-out', { known: rejection(171) }),
  at('excluded', 'denylisted', { known: rejection(306) }),
  at('excluded', 'refused', { known: rejection(198) }),
  at('excluded', 'refused', { known: IN, later: rejection(198), options: refreshAwaited }),
];

/** The segments that the middleware serves on this visit. */
export async function segmentsOf({ known, later, cookie, options }: Visit): Promise<VisitorSegments> {
  const served: VisitorSegments[] = [];
  const site = await createGuardedSite(({ app }) => {
    app.use((req, _res, next) => {
      served.push(req.aamSegments);
      next();
    });
  }, options);
  site.dcsAnswers(known);
  if (later !== undefined) {
    await site.visit('/');
    site.dcsAnswers(later);
  }
  await site.visit('/', 'get', cookie);
  return served.at(-1) as VisitorSegments;
}
