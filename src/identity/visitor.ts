/**
 * Owns: who the visitor of a request is, from the cookies that Adobe's browser clients wrote. Pure; never throws,
 * whatever the bytes. It must not know whether the visitor may be asked about (consent/) or what is known of them.
 */
import { type AmcvFields, parseAmcv } from './amcv-cookie';
import { cookieSpellings, cookiesFromHeader, cookiesFromObject } from './cookie-header';

/** A visitor as a request shows them. */
export interface Visitor {
  /** Experience Cloud ID: 38 decimal digits. */
  readonly ecid?: string | undefined;
  /** Audience Manager UUID: 38 decimal digits. Only where there is no ECID. */
  readonly uuid?: string | undefined;
  /** The region that holds the visitor's profile: a key of the region table, or unknown. */
  readonly region?: number | undefined;
  /** When Adobe's client will ask for the region anew, Unix milliseconds; past that it is still the best hint. */
  readonly regionExpiresAtMs?: number | undefined;
}

/** What a request's cookies say. */
export interface Identity {
  /** The visitor; without `ecid` and `uuid` when no usable id was found. */
  readonly visitor: Visitor;
  /** Why there is no usable id: none at all, or only some that are not 38 digits. */
  readonly problem: 'no-id' | 'bad-id' | undefined;
  /** A cookie says that the visitor opted out. */
  readonly optedOut: boolean;
}

/** The resolved values that reading needs. */
export interface IdentityConfig {
  /** With its `@AdobeOrg`. */
  readonly orgId: string;
  readonly isKnownRegion: (region: number) => boolean;
  readonly sEcid: boolean;
}

/** What one source says: all of it may be absent, the id may be unusable. */
interface Claim {
  readonly id: string | undefined;
  readonly region: number | undefined;
  readonly regionExpiresAtSec: number | undefined;
  readonly optedOut: boolean;
}

/** A cookie from which a visitor can be recognised. The first source with a usable id wins. */
interface Source {
  readonly spellings: readonly string[];
  readonly claim: (values: readonly string[], isKnownRegion: (region: number) => boolean) => Claim;
}

const ECID = /^\d{38}$/;

/** Whether a value can be an ECID or an AAM UUID. */
export function isVisitorId(value: unknown): value is string {
  return typeof value === 'string' && ECID.test(value);
}

/**
 * What tells this visitor from every other one of the organisation. Never the region: it can change and says nothing
 * about who the visitor is.
 */
export function visitorKey(visitor: Visitor): string {
  return visitor.ecid ?? `uuid:${visitor.uuid}`;
}

/** Prepares reading for one organisation. The cookie of another organisation is never looked at. */
export function createIdentityReader(
  config: IdentityConfig,
): (header: string | undefined, parsed: unknown) => Identity {
  const sources: Source[] = [{ spellings: cookieSpellings(`AMCV_${config.orgId}`), claim: claimOfAmcv }];
  // After AMCV: the browser client falls back to it only where AMCV is absent, and its name bears no organisation.
  if (config.sEcid) sources.push({ spellings: ['s_ecid'], claim: claimOfAmcv });
  const wanted = sources.map((source) => source.spellings);

  return function readIdentity(header, parsed) {
    const values =
      header !== undefined
        ? cookiesFromHeader(header, wanted)
        : isObject(parsed)
          ? cookiesFromObject(parsed, wanted)
          : undefined;
    if (values === undefined) return NOBODY;

    let ecid: string | undefined;
    let region: number | undefined;
    let regionExpiresAtSec: number | undefined;
    let sawId = false;
    let optedOut = false;
    for (let index = 0; index < sources.length; index++) {
      const found = values[index] as readonly string[];
      if (found.length === 0) continue;
      const claim = (sources[index] as Source).claim(found, config.isKnownRegion);
      optedOut ||= claim.optedOut;
      sawId ||= claim.id !== undefined;
      if (ecid === undefined && isVisitorId(claim.id)) ecid = claim.id;
      if (region === undefined) ({ region, regionExpiresAtSec } = claim);
    }
    return {
      visitor: {
        ecid,
        uuid: undefined,
        region,
        regionExpiresAtMs: regionExpiresAtSec === undefined ? undefined : regionExpiresAtSec * 1000,
      },
      problem: ecid !== undefined ? undefined : sawId ? 'bad-id' : 'no-id',
      optedOut,
    };
  };
}

const NOBODY: Identity = { visitor: {}, problem: 'no-id', optedOut: false };

/**
 * Several cookies of one name: the id of the first that has a usable one, the region of one with the same id before
 * that of any other, and an opt-out in any of them counts.
 */
function claimOfAmcv(values: readonly string[], isKnownRegion: (region: number) => boolean): Claim {
  const cookies = values.map(parseAmcv);
  const chosen = cookies.find((cookie) => isVisitorId(cookie.id)) ?? cookies.find((cookie) => isUsed(cookie.id));
  const inOrder = [...cookies.filter((cookie) => cookie.id === chosen?.id), ...cookies];
  const located = inOrder.find((cookie) => knownRegion(cookie, isKnownRegion) !== undefined);
  return {
    id: chosen?.id,
    region: located && knownRegion(located, isKnownRegion),
    regionExpiresAtSec: located?.regionExpiresAtSec,
    // Expired or not: an opt-out stays one until the client has written something else.
    optedOut: cookies.some((cookie) => cookie.id === 'NONE' || isUsed(cookie.optOut)),
  };
}

/** `NONE` is what the client writes for "no id" in MCMID and for "not opted out" in MCOPTOUT. */
function isUsed(value: string | undefined): boolean {
  return value !== undefined && value !== 'NONE';
}

function knownRegion(cookie: AmcvFields, isKnownRegion: (region: number) => boolean): number | undefined {
  if (cookie.region === undefined || !/^\d{1,4}$/.test(cookie.region)) return undefined;
  const region = Number(cookie.region);
  return isKnownRegion(region) ? region : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
