/**
 * Owns: what requests that show no visitor say about the configuration: the wrong organisation id, or cookies that do not arrive.
 * Only such requests are looked at, so that it costs nobody else anything. Never throws. Next: page-request.ts.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Warnings } from '../diagnosis/warnings';
import { quoted } from '../handed-over/showing';
import { headerText } from '../request/header-text';
import type { SegmentStatus } from '../segments/served-answer';

/** What Node accepts as the headers of a request, by default. */
const MAX_LENGTH = 16_384;
const MAX_COOKIES = 200;
/** Anybody can send any organisation's cookie: a few are named, so that one who does cannot hide the site's own. */
const MAX_ORGANISATIONS = 3;
/**
 * Page views by a link within the site, all without cookies. A new visitor's first page has none, the pages that it links to do, and
 * a few visitors block them. So many, and not one request with a cookie between them, do not come about by chance.
 */
const PAGES_WITHOUT_COOKIES = 100;

/** As Adobe gives them. What else stands in a cookie's name may be anything, and is not repeated. */
const ORGANISATION = /^[0-9A-F]{24}@AdobeOrg$/i;
/** `AMCV_<org>`, and the Web SDK's `kndctr_<org>_identity` and the like, where the `@` is an underscore. */
const ADOBE_COOKIE = /(?:^|[;,])[ \t]*(?:AMCV_([^=;,\s]{1,64})|kndctr_([^=;,\s]{1,64})_(?:identity|cluster|consent))=/g;

export class UnidentifiedRequests {
  readonly #orgId: string;
  readonly #requests: Readonly<Record<SegmentStatus, number>>;
  readonly #organisations = new Warnings(MAX_ORGANISATIONS);
  readonly #cookies = new Warnings();
  #pagesWithoutCookies = 0;
  #hasAskedAboutSomebody = false;

  /** @param requests requests by status, which show whether anybody has been identified */
  constructor(orgId: string, requests: Readonly<Record<SegmentStatus, number>>) {
    this.#orgId = orgId;
    this.#requests = requests;
  }

  /** What is wrong with the configuration, as far as these requests show it. */
  get advice(): readonly string[] {
    return [...this.#organisations.given, ...this.#cookies.given];
  }

  /** A request is waiting for the answer about its visitor; which may be one that no status in `requests` tells, such as a refusal. */
  asked(): void {
    this.#hasAskedAboutSomebody = true;
  }

  /**
   * A request that names no visitor.
   * @param req its cookies may have been parsed by cookie-parser or the like
   */
  see(headers: IncomingHttpHeaders, req: { readonly cookies?: unknown }): void {
    try {
      const { fresh, cached, stale, unknown } = this.#requests;
      // Somebody's id has arrived, so the configuration is right, and it is up to the visitor.
      if (this.#hasAskedAboutSomebody || fresh + cached + stale + unknown > 0) return;
      const cookies = headerText(headers.cookie, '') ?? namesIn(req.cookies);
      if (cookies === undefined) this.#withoutCookies(headers);
      else this.#withCookies(cookies);
    } catch {
      // Advice must not cost the page.
    }
  }

  #withoutCookies(headers: IncomingHttpHeaders): void {
    const { 'sec-fetch-dest': dest, 'sec-fetch-mode': mode, 'sec-fetch-site': site } = headers;
    if (dest !== 'document' || mode !== 'navigate' || site !== 'same-origin') return;
    if (++this.#pagesWithoutCookies === PAGES_WITHOUT_COOKIES) this.#cookies.warn('WRN_AAM_NO_COOKIES', NO_COOKIES);
  }

  #withCookies(cookies: string): void {
    // Cookies arrive, so nothing takes them away.
    this.#pagesWithoutCookies = Number.NEGATIVE_INFINITY;
    const others = new Set<string>();
    for (const [, amcv, webSdk] of cookies.slice(0, MAX_LENGTH).matchAll(ADOBE_COOKIE)) {
      const orgId = amcv === undefined ? (webSdk as string).replace(/_(?=[^_]*$)/, '@') : amcv.replace('%40', '@');
      // One of ours without an id in it is the visitor's state, and no mistake.
      if (orgId === this.#orgId) return;
      if (ORGANISATION.test(orgId)) others.add(orgId);
    }
    const [other] = others;
    if (other === undefined) return;
    const own = quoted(this.#orgId);
    const happened = `A request has Adobe's cookie of the organisation ${quoted(other)}, and none of ${own}, which is options.orgId`;
    const advice =
      'Check the id: with a wrong one every visitor is anonymous. Where the site serves both organisations, mount an instance for each';
    this.#organisations.warn('WRN_AAM_OTHER_ORGANISATION', `${happened}. ${advice}.`);
  }
}

const NO_COOKIES =
  `${PAGES_WITHOUT_COOKIES} page views by links within the site came without a Cookie header, and no request has had one. Does a proxy or CDN in ` +
  'front of this server remove it? Without cookies every visitor is anonymous: have it passed on.';

/** Names of cookies in the form of a header; `undefined` if there are none. */
function namesIn(parsed: unknown): string | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const names = Object.keys(parsed).slice(0, MAX_COOKIES);
  return names.length === 0 ? undefined : names.map((name) => `${name}=`).join('; ');
}
