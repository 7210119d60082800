/**
 * Owns: the visitor of a request, as the cookies and links of Adobe's browser code name them, and the precedence among these.
 * Pure; never throws. It must not know whether the visitor may be asked about (consent/) or what is cached for them. Next:
 * site-identity.ts.
 */
import type { IdSource } from '../channels/messages';
import type { CookieFinder, CookieSlot, CookieValue, FoundCookies } from '../request/cookie-header';
import { idHandedOver } from './adobe-mc';
import { type AmcvFields, parseAmcv, UNDECODABLE } from './amcv-cookie';
import { type Identity, IdentityOfRequest, isDigits, isVisitorId, type Visitor, VisitorOfRequest } from './visitor';
import { ecidInIdentityCookie, regionOfCluster, webSdkCookieName } from './web-sdk-cookies';

/** The resolved options that reading needs. */
export interface IdentityConfig {
  /** With `@AdobeOrg`. */
  readonly orgId: string;
  readonly isKnownRegion: (region: number) => boolean;
  /** Whether `s_ecid` is read. */
  readonly sEcid: boolean;
  /** Whether the query parameter `adobe_mc` is read. */
  readonly adobeMc: boolean;
  /** Names of cookies that hold an Audience Manager UUID. */
  readonly uuidCookies: readonly string[];
}

/** What of a request is read besides its cookies. */
export interface AddressedRequest {
  readonly url?: unknown;
  /** Set by Express, and by Connect in mounted apps: the URL as it was sent. */
  readonly originalUrl?: unknown;
}

/** What one cookie says about an opt-out. */
export interface OptOutClaim {
  readonly cookie: string;
  readonly optedOut: boolean;
  /** What cannot be decoded counts as an opt-out. */
  readonly isReadable: boolean;
}

/** Reads identities for one organisation. Cookies of other organisations are ignored. */
export class IdentityReader {
  readonly #config: IdentityConfig;
  readonly #amcv: CookieSlot;
  readonly #webSdkIdentity: CookieSlot;
  readonly #webSdkCluster: CookieSlot;
  readonly #sEcid: CookieSlot;
  readonly #uuids: readonly CookieSlot[];

  constructor(config: IdentityConfig, cookies: CookieFinder) {
    this.#config = config;
    this.#amcv = cookies.register(`AMCV_${config.orgId}`);
    this.#webSdkIdentity = cookies.register(webSdkCookieName(config.orgId, 'identity'));
    this.#webSdkCluster = cookies.register(webSdkCookieName(config.orgId, 'cluster'));
    this.#sEcid = cookies.register('s_ecid');
    this.#uuids = config.uuidCookies.map((name) => cookies.register(name));
  }

  /** @param req is looked at only where the cookies name nobody: with Express, each look at a request takes a while */
  read(found: FoundCookies, req: AddressedRequest): Identity {
    const amcv = this.#amcvClaim(found[this.#amcv]);
    const webSdk = firstId(found[this.#webSdkIdentity], ecidInIdentityCookie);
    const clusterRegion = this.#clusterRegion(found[this.#webSdkCluster]);
    // Adobe's browser code, too, uses s_ecid only without AMCV: its name has no organisation id.
    const sEcidClaim = this.#amcvClaim(found[this.#sEcid]);
    // An opt-out in it counts also where ids from it do not.
    const sEcid = this.#config.sEcid ? sEcidClaim : NO_CLAIM;

    let sawId = amcv.id !== undefined || webSdk !== undefined || sEcid.id !== undefined;
    let ecid: string | undefined;
    let source: IdSource | undefined;
    let isFromWebSdk = false;
    if (isVisitorId(webSdk) && (!isVisitorId(amcv.id) || (webSdk !== amcv.id && clusterRegion !== undefined))) {
      // If the two disagree, a cluster cookie, which lives for half an hour, shows that the site now runs the Web SDK.
      ecid = webSdk;
      source = 'web-sdk';
      isFromWebSdk = true;
    } else {
      ecid = usable(amcv.id) ?? usable(sEcid.id);
      if (ecid !== undefined) source = ecid === amcv.id ? 'amcv' : 's_ecid';
    }
    if (ecid === undefined && this.#config.adobeMc) {
      const handedOver = idHandedOver(req.originalUrl ?? req.url, this.#config.orgId, Date.now());
      if (handedOver !== undefined) sawId = true;
      ecid = usable(handedOver);
      if (ecid !== undefined) source = 'adobe_mc';
    }
    let uuid: string | undefined;
    for (let n = 0; ecid === undefined && uuid === undefined && n < this.#uuids.length; n++) {
      const value = firstId(found[this.#uuids[n] as CookieSlot], textOf);
      if (value !== undefined) sawId = true;
      uuid = usable(value);
      if (uuid !== undefined) source = 'uuid-cookie';
    }

    const withRegion = amcv.region === undefined ? sEcid : amcv;
    const isFromCluster =
      clusterRegion !== undefined &&
      (isFromWebSdk || withRegion.region === undefined || (withRegion.regionExpiresAtMs ?? Infinity) < Date.now());
    return new IdentityOfRequest(
      new VisitorOfRequest(
        ecid,
        uuid,
        isFromCluster ? clusterRegion : withRegion.region,
        isFromCluster ? undefined : withRegion.regionExpiresAtMs,
      ),
      ecid !== undefined || uuid !== undefined ? undefined : sawId ? 'bad-id' : 'no-id',
      amcv.optedOut || sEcidClaim.optedOut,
      source,
    );
  }

  /** Everybody whom the request names, chosen or not: a refusal is about the person, whatever ids they have. */
  allIn(found: FoundCookies, req: AddressedRequest): readonly Visitor[] {
    const amcvIds = [this.#amcv, this.#sEcid].flatMap((slot) => found[slot] ?? []).map((value) => parseAmcv(value).id);
    const webSdkIds = found[this.#webSdkIdentity]?.map(ecidInIdentityCookie) ?? [];
    const handedOver = this.#config.adobeMc
      ? idHandedOver(req.originalUrl ?? req.url, this.#config.orgId, Date.now())
      : undefined;
    const ecids = [...amcvIds, ...webSdkIds, handedOver].filter(isVisitorId);
    const uuids = this.#uuids.flatMap((slot) => found[slot]?.map(textOf) ?? []).filter(isVisitorId);
    return [...new Set(ecids)].map((ecid): Visitor => ({ ecid })).concat([...new Set(uuids)].map((uuid) => ({ uuid })));
  }

  /** What each AMCV and `s_ecid` cookie says about an opt-out, for those who ask why a visitor counts as opted out. */
  optOutsIn(found: FoundCookies): readonly OptOutClaim[] {
    const names = [`AMCV_${this.#config.orgId}`, 's_ecid'] as const;
    return [this.#amcv, this.#sEcid].flatMap((slot, n) =>
      (found[slot] ?? []).map((value): OptOutClaim => {
        const fields = parseAmcv(value);
        const { optedOut } = this.#claimOf(fields);
        return { cookie: names[n] as string, optedOut, isReadable: fields.optOut !== UNDECODABLE };
      }),
    );
  }

  /**
   * Merges cookies of one name: the first usable id, a region that comes with that id before any other, and an opt-out in any
   * of them.
   */
  #amcvClaim(values: readonly CookieValue[] | undefined): Claim {
    if (values === undefined) return NO_CLAIM;
    if (values.length === 1) return this.#claimOf(parseAmcv(values[0] as CookieValue));
    const claims = values.map((value) => this.#claimOf(parseAmcv(value)));
    const chosen = claims.find(({ id }) => isVisitorId(id)) ?? claims.find(({ id }) => id !== undefined);
    const withRegion =
      claims.find(({ id, region }) => id === chosen?.id && region !== undefined) ??
      claims.find(({ region }) => region !== undefined);
    return {
      id: chosen?.id,
      region: withRegion?.region,
      regionExpiresAtMs: withRegion?.regionExpiresAtMs,
      optedOut: claims.some((claim) => claim.optedOut),
    };
  }

  /** In MCMID `NONE` means that the visitor opted out; in MCOPTOUT, that they did not. */
  #claimOf({ id, region: regionText, regionExpiresAtSec, optOut }: AmcvFields): Claim {
    const region = this.#knownRegion(regionText);
    const isTimed = region !== undefined && regionExpiresAtSec !== undefined;
    return {
      id: id === 'NONE' ? undefined : id,
      region,
      regionExpiresAtMs: isTimed ? regionExpiresAtSec * 1000 : undefined,
      // Expired opt-outs count: they stand until the client writes another value.
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

/** The content of an AMCV or s_ecid cookie. The id may be malformed. */
interface Claim {
  readonly id: string | undefined;
  readonly region: number | undefined;
  readonly regionExpiresAtMs: number | undefined;
  readonly optedOut: boolean;
}

const NO_CLAIM: Claim = { id: undefined, region: undefined, regionExpiresAtMs: undefined, optedOut: false };

/** The first usable id among cookies of one name; without one, the first malformed id. */
function firstId(
  values: readonly CookieValue[] | undefined,
  idIn: (value: CookieValue) => string | undefined,
): string | undefined {
  if (values === undefined) return undefined;
  let malformed: string | undefined;
  for (const value of values) {
    const id = idIn(value);
    if (isVisitorId(id)) return id;
    malformed ??= id;
  }
  return malformed;
}

function usable(id: string | undefined): string | undefined {
  return isVisitorId(id) ? id : undefined;
}

function textOf({ text, start, end }: CookieValue): string {
  return text.slice(start, end);
}
