import { randomBytes } from 'node:crypto';

export interface AmcvVisitor {
  readonly ecid: string;
  /** The data centre that holds the visitor's profile. */
  readonly region: number;
  /** `NONE`, or what the visitor opted out of. */
  readonly optOut: string;
}

const DAY_S = 86_400;

/** The name of the cookie, as a browser sends it: Adobe's client escapes the `@` of the organisation id. */
export function amcvName(orgId: string): string {
  return `AMCV_${encodeURIComponent(orgId)}`;
}

/** What Adobe's browser client (visitorapi 5.5.0) writes for a visitor; Express escapes it as Adobe's client does. */
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
