/**
 * Owns: who the visitor of a request is: from the cookies that Adobe's browser clients wrote, and from what the site
 * itself knows. Pure but for the site's own functions; never throws, whatever the bytes. It must not know whether the
 * visitor may be asked about (consent/) or what is known of them.
 */

import type { CookieFinder, CookieSlot, CookieValue, FoundCookies } from '../request/cookie-header';
import { idHandedOver } from './adobe-mc';
import { type AmcvFields, parseAmcv } from './amcv-cookie';
import { type Identity, isDigits, isVisitorId } from './visitor';
import { ecidInIdentityCookie, regionOfCluster, webSdkCookieName } from './web-sdk-cookies';

/** The resolved values that reading needs. */
export interface IdentityConfig {
  /** With its `@AdobeOrg`. */
  readonly orgId: string;
  readonly isKnownRegion: (region: number) => boolean;
  /** Whether `s_ecid` is read. */
  readonly sEcid: boolean;
  /** Whether the query parameter `adobe_mc` is read. */
  readonly adobeMc: boolean;
  /** Cookies that hold an AAM UUID. */
  readonly uuidCookies: readonly string[];
}

/** Reads identities for one organisation. The cookies of another organisation are never looked at. */
export class IdentityReader {
  readonly #config: IdentityConfig;
  readonly #amcv: CookieSlot;
  readonly #webSdkIdentity: CookieSlot;
  readonly #webSdkCluster: CookieSlot;
  readonly #sEcid: CookieSlot | undefined;
  readonly #uuids: readonly CookieSlot[];

  constructor(config: IdentityConfig, cookies: CookieFinder) {
    this.#config = config;
    this.#amcv = cookies.register(`AMCV_${config.orgId}`);
    this.#webSdkIdentity = cookies.register(webSdkCookieName(config.orgId, 'identity'));
    this.#webSdkCluster = cookies.register(webSdkCookieName(config.orgId, 'cluster'));
    this.#sEcid = config.sEcid ? cookies.register('s_ecid') : undefined;
    this.#uuids = config.uuidCookies.map((name) => cookies.register(name));
  }

  /** @param url with the query as the browser sent it */
  read(found: FoundCookies, url: string | undefined): Identity {
    const amcv = this.#amcvClaim(found[this.#amcv]);
    const webSdk = firstId(found[this.#webSdkIdentity], ecidInIdentityCookie);
    const clusterRegion = this.#clusterRegion(found[this.#webSdkCluster]);
    // The browser client falls back to s_ecid only where AMCV is absent, and its name bears no organisation.
    const sEcid = this.#sEcid === undefined ? NO_CLAIM : this.#amcvClaim(found[this.#sEcid]);

    let sawId = amcv.id !== undefined || webSdk !== undefined || sEcid.id !== undefined;
    let ecid: string | undefined;
    let isOfWebSdk = false;
    if (isVisitorId(webSdk) && (!isVisitorId(amcv.id) || (webSdk !== amcv.id && clusterRegion !== undefined))) {
      // Where the two disagree, the cluster's short life tells that the Web SDK is the one that runs.
      ecid = webSdk;
      isOfWebSdk = true;
    } else {
      ecid = usable(amcv.id) ?? usable(sEcid.id);
    }
    if (ecid === undefined && this.#config.adobeMc) {
      const handedOver = idHandedOver(url, this.#config.orgId, Date.now());
      if (handedOver !== undefined) sawId = true;
      ecid = usable(handedOver);
    }
    let uuid: string | undefined;
    for (let n = 0; ecid === undefined && uuid === undefined && n < this.#uuids.length; n++) {
      const value = firstId(found[this.#uuids[n] as CookieSlot], textOf);
      if (value !== undefined) sawId = true;
      uuid = usable(value);
    }

    const located = amcv.region === undefined ? sEcid : amcv;
    const isOfCluster =
      clusterRegion !== undefined &&
      (isOfWebSdk || located.region === undefined || (located.regionExpiresAtMs ?? Infinity) < Date.now());
    return {
      visitor: {
        ecid,
        uuid,
        region: isOfCluster ? clusterRegion : located.region,
        regionExpiresAtMs: isOfCluster ? undefined : located.regionExpiresAtMs,
        customerIds: undefined,
      },
      problem: ecid !== undefined || uuid !== undefined ? undefined : sawId ? 'bad-id' : 'no-id',
      optedOut: amcv.optedOut || sEcid.optedOut,
    };
  }

  /**
   * Several cookies of one name: the id of the first that has a usable one, the region of one with the same id before
   * that of any other, and an opt-out in any of them counts.
   */
  #amcvClaim(values: readonly CookieValue[] | undefined): Claim {
    if (values === undefined) return NO_CLAIM;
    if (values.length === 1) return this.#claimOf(parseAmcv(values[0] as CookieValue));
    const claims = values.map((value) => this.#claimOf(parseAmcv(value)));
    const chosen = claims.find(({ id }) => isVisitorId(id)) ?? claims.find(({ id }) => id !== undefined);
    const located =
      claims.find(({ id, region }) => id === chosen?.id && region !== undefined) ??
      claims.find(({ region }) => region !== undefined);
    return {
      id: chosen?.id,
      region: located?.region,
      regionExpiresAtMs: located?.regionExpiresAtMs,
      optedOut: claims.some((claim) => claim.optedOut),
    };
  }

  /** `NONE` is what the client writes for an opted-out visitor in MCMID, and for "not opted out" in MCOPTOUT. */
  #claimOf({ id, region: regionText, regionExpiresAtSec, optOut }: AmcvFields): Claim {
    const region = this.#knownRegion(regionText);
    const isTimed = region !== undefined && regionExpiresAtSec !== undefined;
    return {
      id: id === 'NONE' ? undefined : id,
      region,
      regionExpiresAtMs: isTimed ? regionExpiresAtSec * 1000 : undefined,
      // Expired or not: an opt-out stays one until the client has written something else.
      optedOut: id === 'NONE' || (optOut !== undefined && optOut !== 'NONE'),
    };
  }

  #knownRegion(text: string | undefined): number | undefined {
    if (text === undefined || text.length > 4 || !isDigits(text)) return undefined;
    const region = Number(text);
    return this.#config.isKnownRegion(region) ? region : undefined;
  }

  #clusterRegion(values: readonly CookieValue[] | undefined): number | undefined {
    const region = values === undefined ? undefined : regionOfCluster(values[0] as CookieValue);
    return region !== undefined && this.#config.isKnownRegion(region) ? region : undefined;
  }
}

/** What an AMCV or s_ecid cookie says: all of it may be absent, the id may be unusable. */
interface Claim {
  readonly id: string | undefined;
  readonly region: number | undefined;
  readonly regionExpiresAtMs: number | undefined;
  readonly optedOut: boolean;
}

const NO_CLAIM: Claim = { id: undefined, region: undefined, regionExpiresAtMs: undefined, optedOut: false };

/** The first usable id among several cookies of one name; where none is, what stands in their place. */
function firstId(
  values: readonly CookieValue[] | undefined,
  idIn: (value: CookieValue) => string | undefined,
): string | undefined {
  if (values === undefined) return undefined;
  const ids = values.map(idIn);
  return ids.find(isVisitorId) ?? ids.find((id) => id !== undefined);
}

function usable(id: string | undefined): string | undefined {
  return isVisitorId(id) ? id : undefined;
}

function textOf({ text, start, end }: CookieValue): string {
  return text.slice(start, end);
}
