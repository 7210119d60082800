/** Owns: the visitors of the chaos suite and their segments. */
import type { DcsSimulator } from 'express-aam-segments/testing';
import { cookieOf } from '../helpers/site';
import { ORIGINS } from './chaos-weather';

export interface ChaosVisitor {
  readonly cookie: string;
  /** Segment ids, joined; `undefined` if no segments may be served. */
  readonly truth: string | undefined;
  readonly ecid: string;
}

const KNOWN = 400;
const OPTED_OUT = 20;
/** Their numbers begin at these. */
const FIRST_MARKED = 200_000;
const FIRST_OPTING_OUT = 3_000_000;

const ecidOf = (n: number) => `7${String(n).padStart(37, '0')}`;
const regionOf = (n: number) => {
  const origin = ORIGINS[n % ORIGINS.length];
  return origin === 'alias' || origin === undefined ? null : origin;
};

/** Visitors with segments at the simulator; every tenth has none. */
export function knownVisitors(simulator: DcsSimulator): ChaosVisitor[] {
  return Array.from({ length: KNOWN }, (_, n) => {
    const ids = n % 10 === 0 ? [] : [984_000 + (n % 7), 985_000 + n, 986_000 + (n % 13)];
    simulator.visitor(ecidOf(n)).in(...ids);
    return { cookie: cookieOf(ecidOf(n), regionOf(n)), truth: sorted(ids.map(String)), ecid: ecidOf(n) };
  });
}

/** Visitors with segments who do things and refuse; calls about them show which request has set them off. */
export function markedVisitors(simulator: DcsSimulator, count: number, group: number): ChaosVisitor[] {
  return Array.from({ length: count }, (_, m) => {
    const n = FIRST_MARKED + 1_000 * group + m;
    simulator.visitor(ecidOf(n)).in(984_263, 987_000 + m);
    const truth = sorted(['984263', String(987_000 + m)]);
    return { cookie: cookieOf(ecidOf(n), regionOf(n)), truth, ecid: ecidOf(n) };
  });
}

/** The nth visitor whom the desk opts out: an opt-out is final. */
export function optingOut(n: number): string {
  return ecidOf(FIRST_OPTING_OUT + n);
}

/** Visitors with segments who opted out: no call may be made about them. */
export function optedOutVisitors(simulator: DcsSimulator): ChaosVisitor[] {
  return Array.from({ length: OPTED_OUT }, (_, m) => {
    const n = 100_000 + m;
    simulator.visitor(ecidOf(n)).in(984_263);
    return { cookie: cookieOf(ecidOf(n), regionOf(n), 'global'), truth: undefined, ecid: ecidOf(n) };
  });
}

export function isOptedOut(ecid: string | undefined): boolean {
  return ecid !== undefined && Number(ecid.slice(-10)) >= 100_000 && Number(ecid.slice(-10)) < 100_000 + OPTED_OUT;
}

/** The nth visitor with a new id, in no segment. */
export function strangerOf(n: number): ChaosVisitor {
  const ecid = ecidOf(1_000_000 + n);
  return { cookie: cookieOf(ecid, regionOf(n)), truth: '', ecid };
}

export const ANONYMOUS: ChaosVisitor = { cookie: 'theme=dark', truth: undefined, ecid: '' };

export function sorted(ids: readonly string[]): string {
  return [...ids].sort().join();
}
