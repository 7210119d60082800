import { requireSegment } from 'express-aam-segments';
import { cookieOf, ECID, GOLF, HIGH_VALUE } from '../helpers/site';
import { closeGuardedSites, createGuardedSite, type DcsAnswer, type GuardedSite } from './guarded-site';
import { PLACES } from './places';

interface Visit {
  readonly status: string;
  readonly reason?: string;
  readonly isIn: boolean;
  /** What the DCS knows when the visitor comes for the first time, to the members' page or to another one. */
  readonly known?: DcsAnswer;
  /** What it says when the members' page is asked for; where it is absent, nobody was there before. */
  readonly later?: DcsAnswer;
  readonly cookie?: string;
  readonly options?: Parameters<typeof createGuardedSite>[1];
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
const VISITS: readonly Visit[] = [
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

const described = VISITS.map((visit) => {
  const reason = visit.reason === undefined ? '' : `/${visit.reason}`;
  const before = visit.later === undefined ? '' : ', on the second visit';
  return { ...visit, visitor: `${visit.status}${reason} ${visit.isIn ? 'in' : 'not in'} the segment${before}` };
});

async function comeToTheMembersPage(site: GuardedSite, { known = [], later, cookie }: Visit): Promise<string> {
  site.dcsAnswers(known);
  if (later !== undefined) {
    await site.visit('/status');
    site.dcsAnswers(later);
  }
  return site.visit('/members', 'get', cookie);
}

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation());
afterEach(() => {
  jest.restoreAllMocks();
  closeGuardedSites();
});

describe.each(PLACES)('a guard in $title', ({ mount, inRoute }) => {
  it.each(described)('decides by the segment: $visitor', async (visit) => {
    let seen: unknown;
    const site = await createGuardedSite(({ app, ...rest }) => {
      app.use((req, _res, next) => {
        seen = [req.aamSegments.status, req.aamSegments.reason];
        next();
      });
      app.get('/status', (_req, res) => void res.end());
      mount({ app, ...rest }, requireSegment('highValue'));
    }, visit.options);
    const text = await comeToTheMembersPage(site, visit);
    expect(seen).toEqual([visit.status, visit.reason]);
    const refused = inRoute ? 'public' : 'ERR_AAM_GUARD_OUTSIDE_ROUTE';
    expect(text).toBe(visit.isIn ? 'members' : refused);
    expect(site.members).toHaveBeenCalledTimes(visit.isIn ? 1 : 0);
  });

  it('ends the request in an error where the middleware did not run', async () => {
    const site = await createGuardedSite(({ app, members }) => {
      app.use((req, _res, next) => {
        delete (req as Partial<typeof req>).aamSegments;
        next();
      });
      mount({ app, members }, requireSegment('highValue', { otherwise: 403 }));
    });
    site.dcsAnswers(IN);
    expect(await site.visit('/members')).toBe('ERR_AAM_MIDDLEWARE_MISSING');
    expect(site.members).not.toHaveBeenCalled();
  });
});
