import { assertBoolean, assertInteger, assertKnownKeys, assertRule, MAX_MS } from './assertions';
import type { RateWindowLimit } from './rate-window';

/** The regions that have a DCS (AAM docs, DCS Region IDs, Locations, and Host Names). */
export const REGIONS: readonly number[] = [3, 4, 6, 7, 8, 9, 11, 12];

/** The origin at which a call arrives: a region's, or that of the partner's alias. */
export type OriginName = number | 'alias';

const MAX_PORT = 65_535;
const ORG_ID = /^[0-9A-Fa-f]{24}@AdobeOrg$/;
const HOST_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** Options of `createDcsSimulator()`. All are optional. */
export interface DcsSimulatorOptions {
  /**
   * The partner's alias. Calls with the `Host` `<partner>.demdex.net`, in upper or lower case, with or without a port, are
   * answered; another `Host` of `demdex.net` or of this machine gets error code 1, none error code 100. The name of any other
   * site gets HTTP status 421: a web page can have its own name point to this machine.
   *
   * @default 'acme'
   */
  readonly partner?: string | undefined;
  /**
   * The port of the alias; the regions listen on the following ports, in the order of their ids.
   *
   * @default free ports
   */
  readonly port?: number | undefined;
  /**
   * The known organisations, each 24 hexadecimal digits and `@AdobeOrg`; another `d_orgid` gets error code 2.
   *
   * @default every well-formed organisation id is known
   */
  readonly orgIds?: readonly string[] | undefined;
  /**
   * Whether Adobe has enabled `d_cts` for the account. If not, answers have no `traits` and `segments`, whatever the call
   * requests.
   *
   * @default false
   */
  readonly segmentIds?: boolean | undefined;
  /**
   * How often the id of one visitor may be sent. The first call beyond that permanently denylists the id: error code 306. Adobe
   * publishes no figures. `false` never denylists.
   *
   * @default { calls: 100, withinMs: 10_000 }
   */
  readonly denylistAfter?: RateWindowLimit | false | undefined;
  /**
   * How many calls each origin accepts. Further ones get HTTP status 429, with `Retry-After` if `retryAfterSeconds` is given.
   * `false` accepts all.
   *
   * @default false
   */
  readonly rateLimit?: RateLimit | false | undefined;
  /**
   * The `dcs_region` in answers of the alias. At Adobe it is the data centre nearest to the caller.
   *
   * @default 7
   */
  readonly aliasRegion?: number | undefined;
}

/** A rate limit per origin, beyond which the HTTP status is 429. */
export interface RateLimit extends RateWindowLimit {
  /**
   * The value of `Retry-After`, in seconds.
   * @default no such header, which Adobe does not document
   */
  readonly retryAfterSeconds?: number | undefined;
}

/** The options, checked and copied, with their defaults. */
export interface SimulatorConfig {
  readonly partner: string;
  /** Of the calls. */
  readonly host: string;
  readonly port: number | undefined;
  readonly segmentIds: boolean;
  readonly denylistAfter: RateWindowLimit | false;
  readonly rateLimit: RateWindowLimit | false;
  readonly retryAfterSeconds: number | undefined;
  readonly aliasRegion: number;
  knowsOrg(orgId: string): boolean;
}

/** @throws TypeError for an unknown option or a value that breaks its rule */
export function resolveSimulatorOptions(options: DcsSimulatorOptions): SimulatorConfig {
  const known = ['partner', 'orgIds', 'segmentIds', 'denylistAfter', 'rateLimit', 'aliasRegion', 'port'];
  assertKnownKeys('options', options, known);
  const { partner = 'acme', port, orgIds, segmentIds = false, rateLimit = false, aliasRegion = 7 } = options;
  const { denylistAfter = { calls: 100, withinMs: 10_000 } } = options;

  assertRule(typeof partner === 'string' && HOST_LABEL.test(partner), 'options.partner', 'one host label', partner);
  if (port !== undefined) assertInteger('options.port', port, 1, MAX_PORT - REGIONS.length);
  assertBoolean('options.segmentIds', segmentIds);
  assertRule(REGIONS.includes(aliasRegion), 'options.aliasRegion', `one of ${REGIONS.join(', ')}`, aliasRegion);
  if (denylistAfter !== false) assertWindow('options.denylistAfter', denylistAfter, []);
  if (rateLimit !== false) {
    assertWindow('options.rateLimit', rateLimit, ['retryAfterSeconds']);
    if (rateLimit.retryAfterSeconds !== undefined) {
      assertInteger('options.rateLimit.retryAfterSeconds', rateLimit.retryAfterSeconds, 0, MAX_MS);
    }
  }
  return {
    partner,
    host: `${partner.toLowerCase()}.demdex.net`,
    port,
    segmentIds,
    denylistAfter: denylistAfter && { ...denylistAfter },
    rateLimit: rateLimit && { ...rateLimit },
    retryAfterSeconds: rateLimit ? rateLimit.retryAfterSeconds : undefined,
    aliasRegion,
    knowsOrg: orgKnowledge(orgIds),
  };
}

function assertWindow(name: string, value: RateWindowLimit, moreKeys: readonly string[]): void {
  assertKnownKeys(name, value, ['calls', 'withinMs', ...moreKeys]);
  assertInteger(`${name}.calls`, value.calls, 1, MAX_MS);
  assertInteger(`${name}.withinMs`, value.withinMs, 1, MAX_MS);
}

function orgKnowledge(orgIds: readonly string[] | undefined): (orgId: string) => boolean {
  if (orgIds === undefined) return (orgId) => ORG_ID.test(orgId);
  assertRule(Array.isArray(orgIds), 'options.orgIds', 'an array', orgIds);
  const rule = '24 hexadecimal digits followed by @AdobeOrg';
  for (const orgId of orgIds) assertRule(ORG_ID.test(orgId), 'every one of options.orgIds', rule, orgId);
  const known = new Set(orgIds);
  return (orgId) => known.has(orgId);
}
