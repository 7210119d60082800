import { randomBytes } from 'node:crypto';

export interface AmcvVisitor {
  readonly ecid: string;
  /** Id of the region that holds the visitor's profile. */
  readonly region: number;
  /** `NONE`, or the opt-out levels. */
  readonly optOut: string;
}

const DAY_S = 86_400;

/** The name of the cookie, in which Adobe's client escapes the `@` of the organisation id. */
export function amcvName(orgId: string): string {
  return `AMCV_${encodeURIComponent(orgId)}`;
}

/** The cookie's value as Adobe's browser client (visitorapi 5.5.0) writes it. Express escapes it in the same way. */
export function amcvValue({ ecid, region, optOut }: AmcvVisitor, nowMs = Date.now()): string {
  const nowS = Math.floor(nowMs / 1000);
  const regionExpiry = nowS + 7 * DAY_S;
  const fields = {
    MCIDTS: Math.ceil(nowS / DAY_S),
    MCMID: ecid,
    [`MCAAMLH-${regionExpiry}`]: region,
    [`MCAAMB-${regionExpiry}`]: randomBytes(39).toString('base64url'),
    [`MCOPTOUT-${nowS + 7_200}s`]: optOut,
    vVersion: '5.5.0',
  };
  return ['179643557', ...Object.entries(fields).flat()].join('|');
}
