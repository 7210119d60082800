/**
 * Owns: previews, by which somebody sees the site as a visitor of their choice would. A signed link is exchanged for a signed
 * cookie, and while that is there, it decides what is served. A request without either costs a look at its URL and its cookies.
 * Next: ../serving/page-request.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Warnings } from '../diagnosis/warnings';
import { AamError } from '../errors';
import { quoted } from '../handed-over/showing';
import type { CookieFinder, CookieSlot, FoundCookies } from '../request/cookie-header';
import type { ResponsePrivacy } from '../request/response-privacy';
import { setCookie } from '../request/set-cookie';
import { answerWith } from '../segments/answer-with';
import type { SegmentNames } from '../segments/segment-refs';
import { recordOf } from '../segments/segment-set';
import { preview, type ServedAnswer } from '../segments/served-answer';
import type { SigningPurpose } from '../signing/signer';
import { END, type LocalUrl, localUrl, PREVIEW_PARAMETER, parametersOf, textOf } from './local-url';
import { resolvePreviewLink, type VariantsOf } from './preview-options';
import { PLAIN_COOKIE, type PreviewConfig, type PreviewContent, PreviewTokens, SECURE_COOKIE } from './preview-token';

/** A request, as Express makes it; Connect sets less. */
interface AddressedRequest extends IncomingMessage {
  readonly originalUrl?: string;
  /** The host without its port, as the setting `trust proxy` says. */
  readonly hostname?: string;
  readonly cookies?: unknown;
}

/** Links go through chat programs and mail, and their content becomes a cookie. */
const MAX_LINK_LENGTH = 3_072;
/** More than one in a URL is a mistake, or an attempt to have many verified. */
const MAX_TOKENS = 4;

export class Previews {
  readonly #tokens: PreviewTokens;
  readonly #names: SegmentNames;
  readonly #privacy: ResponsePrivacy;
  readonly #finder: CookieFinder;
  readonly #secureSlot: CookieSlot;
  readonly #plainSlot: CookieSlot;
  readonly #warnings = new Warnings(1);

  constructor(
    config: PreviewConfig,
    account: Omit<SigningPurpose, 'purpose'>,
    { names, privacy }: { readonly names: SegmentNames; readonly privacy: ResponsePrivacy },
    finder: CookieFinder,
  ) {
    this.#tokens = new PreviewTokens(config, account);
    this.#names = names;
    this.#privacy = privacy;
    this.#finder = finder;
    this.#secureSlot = finder.register(SECURE_COOKIE);
    this.#plainSlot = finder.register(PLAIN_COOKIE);
  }

  /** @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_UNKNOWN_SEGMENT` */
  link(given: unknown, options: unknown, variantsOf: VariantsOf): string {
    const url = pageUrl(given);
    const { segments, variants, expiresInMs } = resolvePreviewLink(options, this.#names, variantsOf);
    const token = this.#tokens.forLink({
      host: url.hostname,
      isSecure: url.protocol === 'https:',
      expiresAtMs: Date.now() + expiresInMs,
      segments,
      variants,
    });
    const { others } = parametersOf(url.search === '' ? undefined : url.search.slice(1));
    url.search = [...others, `${PREVIEW_PARAMETER}=${token}`].join('&');
    if (url.href.length > MAX_LINK_LENGTH) {
      const problem = `would have ${url.href.length} characters, and ${MAX_LINK_LENGTH} are allowed`;
      throw new AamError('ERR_AAM_INVALID_OPTION', `The preview link ${problem}: use fewer segments or a shorter URL.`);
    }
    return url.href;
  }

  /** Answers a request that begins or ends a preview. Returns whether it has. */
  answers(req: AddressedRequest, res: ServerResponse): boolean {
    let location: string;
    let cookies: readonly string[];
    try {
      const target = req.originalUrl ?? req.url;
      if (typeof target !== 'string' || !target.includes(PREVIEW_PARAMETER) || res.headersSent) return false;
      if (req.method !== 'GET' && req.method !== 'HEAD') return false;
      const url = localUrl(target);
      location = textOf(url);
      const begun = this.#begunBy(url, req);
      if (begun !== undefined) cookies = [this.#cookieOf(begun)];
      else if (url.previews.includes(END)) cookies = this.#endOf(req);
      else return false;
    } catch {
      // A getter or proxy of somebody else's.
      return false;
    }
    for (const cookie of cookies) this.#privacy.addCookie(res, cookie);
    this.#privacy.keepUnstored(res);
    res.statusCode = 303;
    res.setHeader('Location', location);
    res.setHeader('Referrer-Policy', 'no-referrer');
    res.end();
    return true;
  }

  /** What a preview shows on this request; `undefined` without one. */
  activeIn(found: FoundCookies, req: AddressedRequest): ServedAnswer | undefined {
    if (found[this.#secureSlot] === undefined && found[this.#plainSlot] === undefined) return undefined;
    const content = this.#inCookies(found, this.#secureSlot, req) ?? this.#inCookies(found, this.#plainSlot, req);
    if (content === undefined) return undefined;
    const { segments, variants, expiresAtMs } = content;
    // A name may have been taken out of the options since.
    const wanted = segments.flatMap((segment) => this.#names.find(segment) ?? []);
    return preview(answerWith(wanted), {
      segments: segments.map((segment) => (typeof segment === 'string' ? segment : segment.value)),
      variants: recordOf(variants),
      expiresAtMs,
      remainingMs: Math.max(0, expiresAtMs - Date.now()),
      endUrl: textOf(localUrl(String(req.originalUrl ?? req.url)), END),
    });
  }

  #begunBy({ previews }: LocalUrl, req: AddressedRequest): PreviewContent | undefined {
    for (const token of previews.slice(0, MAX_TOKENS)) {
      const content = this.#tokens.inLink(token);
      if (content === undefined) continue;
      const host = hostOf(req);
      if (content.host === host) return content;
      this.#warnOfHost(content.host, host);
    }
    return undefined;
  }

  #cookieOf(content: PreviewContent): string {
    const { isSecure } = content;
    return setCookie(isSecure ? SECURE_COOKIE : PLAIN_COOKIE, this.#tokens.forCookie(content), { isSecure });
  }

  /** Deletes the cookies of previews that the request shows. */
  #endOf(req: AddressedRequest): readonly string[] {
    const { cookie } = req.headers;
    const found = this.#finder.find(cookie, cookie === undefined ? req.cookies : undefined);
    return [
      ...(found[this.#secureSlot] === undefined ? [] : [setCookie(SECURE_COOKIE, '', { isSecure: true, maxAgeMs: 0 })]),
      ...(found[this.#plainSlot] === undefined ? [] : [setCookie(PLAIN_COOKIE, '', { isSecure: false, maxAgeMs: 0 })]),
    ];
  }

  #inCookies(found: FoundCookies, slot: CookieSlot, req: AddressedRequest): PreviewContent | undefined {
    for (const { text, start, end } of found[slot] ?? []) {
      const content = this.#tokens.inCookie(text.slice(start, end));
      // One of HTTPS under the plain name was put there by somebody else.
      const isInPlace = content !== undefined && content.isSecure === (slot === this.#secureSlot);
      if (isInPlace && content.host === hostOf(req)) return content;
    }
    return undefined;
  }

  /** Most often the site is behind a proxy that it does not trust. */
  #warnOfHost(expected: string, host: string | undefined): void {
    if (process.env.NODE_ENV !== 'development') return;
    const seen = host === undefined ? 'a request without a host' : quoted(host);
    this.#warnings.warn(
      'WRN_AAM_PREVIEW',
      `A preview link for the host ${quoted(expected)} was opened at ${seen}, and does nothing there. Behind a proxy, see the setting 'trust proxy' of Express.`,
    );
  }
}

/** The message does not repeat the URL, which may hold anything. */
function pageUrl(given: unknown): URL {
  let url: URL | undefined;
  try {
    url = new URL(String(given));
  } catch {
    // See below.
  }
  const isPage = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  if (url !== undefined && isPage) return url;
  throw new AamError(
    'ERR_AAM_INVALID_OPTION',
    'The first argument of previewUrl() must be an absolute URL with http: or https:, without a user name and a password.',
  );
}

/** The name of the host that was asked for, without a port. */
function hostOf(req: AddressedRequest): string | undefined {
  const { hostname } = req;
  if (typeof hostname === 'string') return hostname.toLowerCase();
  const host: unknown = req.headers.host ?? req.headers[':authority'];
  if (typeof host !== 'string') return undefined;
  return /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host.toLowerCase())?.[1];
}
