/**
 * Owns: who the visitor of a request is, from the cookies that Adobe's browser clients wrote. Pure; never throws,
 * whatever the bytes. It must not know whether the visitor may be asked about (consent/) or what is known of them.
 */
import { type AmcvFields, parseAmcv } from './amcv-cookie';
import {
  type CookieValue,
  cookiesFromHeader,
  cookiesFromObject,
  type FoundCookies,
  type WantedCookie,
  wantedCookie,
} from './cookie-header';

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
  readonly cookie: WantedCookie;
  readonly claim: (values: readonly CookieValue[], isKnownRegion: IdentityConfig['isKnownRegion']) => Claim;
}

/** Whether a value can be an ECID or an AAM UUID: 38 decimal digits. */
export function isVisitorId(value: unknown): value is string {
  return typeof value === 'string' && value.length === 38 && isDigits(value);
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
  const sources: Source[] = [{ cookie: wantedCookie(`AMCV_${config.orgId}`), claim: claimOfAmcv }];
  // After AMCV: the browser client falls back to it only where AMCV is absent, and its name bears no organisation.
  if (config.sEcid) sources.push({ cookie: wantedCookie('s_ecid'), claim: claimOfAmcv });
  const wanted = sources.map((source) => source.cookie);

  return function readIdentity(header, parsed) {
    if (header !== undefined) return identityOf(cookiesFromHeader(header, wanted));
    return isObject(parsed) ? identityOf(cookiesFromObject(parsed, wanted)) : NOBODY;
  };

  function identityOf(found: FoundCookies): Identity {
    let ecid: string | undefined;
    let region: number | undefined;
    let regionExpiresAtSec: number | undefined;
    let sawId = false;
    let optedOut = false;
    for (let index = 0; index < sources.length; index++) {
      const values = found[index];
      if (values === undefined) continue;
      const claim = (sources[index] as Source).claim(values, config.isKnownRegion);
      if (claim.optedOut) optedOut = true;
      if (claim.id !== undefined) sawId = true;
      if (ecid === undefined && isVisitorId(claim.id)) ecid = claim.id;
      if (region === undefined) {
        region = claim.region;
        regionExpiresAtSec = claim.regionExpiresAtSec;
      }
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
  }
}

const NOBODY: Identity = { visitor: {}, problem: 'no-id', optedOut: false };

/**
 * Several cookies of one name: the id of the first that has a usable one, the region of one with the same id before
 * that of any other, and an opt-out in any of them counts.
 */
function claimOfAmcv(values: readonly CookieValue[], isKnownRegion: IdentityConfig['isKnownRegion']): Claim {
  if (values.length === 1) return claimOfCookie(parseAmcv(values[0] as CookieValue), isKnownRegion);
  const claims = values.map((value) => claimOfCookie(parseAmcv(value), isKnownRegion));
  const chosen = claims.find(({ id }) => isVisitorId(id)) ?? claims.find(({ id }) => id !== undefined);
  const located =
    claims.find(({ id, region }) => id === chosen?.id && region !== undefined) ??
    claims.find(({ region }) => region !== undefined);
  return {
    id: chosen?.id,
    region: located?.region,
    regionExpiresAtSec: located?.regionExpiresAtSec,
    optedOut: claims.some((claim) => claim.optedOut),
  };
}

/** `NONE` is what the client writes for an opted-out visitor in MCMID, and for "not opted out" in MCOPTOUT. */
function claimOfCookie(fields: AmcvFields, isKnownRegion: IdentityConfig['isKnownRegion']): Claim {
  const region = knownRegion(fields.region, isKnownRegion);
  return {
    id: fields.id === 'NONE' ? undefined : fields.id,
    region,
    regionExpiresAtSec: region === undefined ? undefined : fields.regionExpiresAtSec,
    // Expired or not: an opt-out stays one until the client has written something else.
    optedOut: fields.id === 'NONE' || (fields.optOut !== undefined && fields.optOut !== 'NONE'),
  };
}

function knownRegion(text: string | undefined, isKnownRegion: IdentityConfig['isKnownRegion']): number | undefined {
  if (text === undefined || text.length > 4 || !isDigits(text)) return undefined;
  const region = Number(text);
  return isKnownRegion(region) ? region : undefined;
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return text.length > 0;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
