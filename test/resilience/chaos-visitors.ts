/** The visitors, and the segments that they are in. */
import type { DcsSimulator } from 'express-aam-segments/testing';
import { cookieOf } from '../helpers/site';
import { ORIGINS } from './chaos-weather';

export interface ChaosVisitor {
  readonly cookie: string;
  /** The sorted ids of their segments; `undefined` if no segments may ever be served. */
  readonly segments: string | undefined;
}

export const KNOWN = 400;
const OPTED_OUT = 20;

const ecidOf = (n: number) => `7${String(n).padStart(37, '0')}`;
const regionOf = (n: number) => {
  const origin = ORIGINS[n % ORIGINS.length];
  return origin === 'alias' || origin === undefined ? null : origin;
};

/** Visitors who are in the simulator; every tenth is in no segment. */
export function knownVisitors(simulator: DcsSimulator): ChaosVisitor[] {
  return Array.from({ length: KNOWN }, (_, n) => {
    const ids = n % 10 === 0 ? [] : [984_000 + (n % 7), 985_000 + n, 986_000 + (n % 13)];
    simulator.visitor(ecidOf(n)).in(...ids);
    return { cookie: cookieOf(ecidOf(n), regionOf(n)), segments: sorted(ids.map(String)) };
  });
}

/** Visitors who opted out. They are in a segment, but no call may be made about them. */
export function optedOutVisitors(simulator: DcsSimulator): ChaosVisitor[] {
  return Array.from({ length: OPTED_OUT }, (_, m) => {
    const n = 100_000 + m;
    simulator.visitor(ecidOf(n)).in(984_263);
    return { cookie: cookieOf(ecidOf(n), regionOf(n), 'global'), segments: undefined };
  });
}

export function isOptedOut(ecid: string | undefined): boolean {
  return ecid !== undefined && Number(ecid.slice(-10)) >= 100_000 && Number(ecid.slice(-10)) < 100_000 + OPTED_OUT;
}

/** A visitor with a new, unknown id, who is in no segment. */
export function strangerOf(n: number): ChaosVisitor {
  return { cookie: cookieOf(ecidOf(1_000_000 + n), regionOf(n)), segments: '' };
}

export const ANONYMOUS: ChaosVisitor = { cookie: 'theme=dark', segments: undefined };

export function sorted(ids: readonly string[]): string {
  return [...ids].sort().join();
}
