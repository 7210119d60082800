/**
 * Owns: one request, from its cookies to its segments. It decides nothing itself: it asks who the visitor is, whether they may
 * be asked about and what to serve, in this order, and waits where that takes a while. Next: ../middleware.ts.
 *
 * An object with methods instead of closures, which every request would have to make anew, also where nothing is waited for.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { requestChannel } from '../channels/channels';
import type { ConsentSignal, RequestMessage } from '../channels/messages';
import { type Consent, type ConsentGate, NO_CONSENT, type Refusal, UNREADABLE } from '../consent/consent-gate';
import type { IdentityReader } from '../identity/identity-reader';
import { pseudonymOf } from '../identity/pseudonym';
import type { SiteIdentity } from '../identity/site-identity';
import type { Identity } from '../identity/visitor';
import type { NoAnswer } from '../lookup/answer-loader';
import type { AnswerResolver, Asker, PendingAnswer, PendingLook } from '../lookup/answer-resolver';
import type { LookupSignals } from '../lookup/lookup-signals';
import type { Previews } from '../preview/previews';
import type { BotDetector } from '../request/bots';
import type { CookieFinder, FoundCookies } from '../request/cookie-header';
import { holdRequest } from '../request/hold-request';
import { isPrefetch } from '../request/prefetch';
import type { SiteCallback } from '../request/site-callback';
import { regionOf } from '../segments/packed-answer';
import { anonymous, excluded, type SegmentStatus, type ServedAnswer } from '../segments/served-answer';
import { type Instance, Reading, VisitorSegments } from '../segments/visitor-segments';
import type { UnidentifiedRequests } from './unidentified-requests';

/** What all requests of one instance share. */
export interface Site {
  readonly instance: Instance;
  readonly resolver: AnswerResolver;
  readonly cookies: CookieFinder;
  readonly identityReader: IdentityReader;
  readonly siteIdentity: SiteIdentity;
  readonly gate: ConsentGate;
  /** `undefined` if robots are served like everybody. */
  readonly bots: BotDetector | undefined;
  readonly skip: SiteCallback<unknown> | undefined;
  readonly signals: LookupSignals | undefined;
  /** `undefined` if there is no secret to sign them with. */
  readonly previews: Previews | undefined;
  readonly maxWaitMs: number;
  /** Requests by the status of their segments. */
  readonly requests: Record<SegmentStatus, number>;
  readonly unidentified: UnidentifiedRequests;
}

export interface ServedRequest extends IncomingMessage {
  aamSegments?: VisitorSegments;
  cookies?: unknown;
  /** Set by Express, and by Connect in mounted apps. */
  originalUrl?: string;
}

export interface ServedResponse extends ServerResponse {
  /** Set by Express, not by Connect. */
  locals?: Record<string, unknown>;
}

/** Where an answer is served from. */
type From = NonNullable<RequestMessage['servedFrom']>;

const NO_HEADERS: IncomingHttpHeaders = {};
const NO_COOKIES: FoundCookies = [];
const NOBODY: Identity = { visitor: Object.freeze({}), problem: 'no-id', optedOut: false };

export class PageRequest implements Asker {
  readonly #site: Site;
  readonly #req: ServedRequest;
  readonly #res: ServedResponse;
  readonly #next: () => void;
  /** What another instance has served. */
  readonly #replaced: VisitorSegments | undefined;
  readonly #startedAtMs: number;
  /** See `AnswerResolver.moment`. */
  readonly #requestedAt: number;
  #headers = NO_HEADERS;
  #found: FoundCookies = NO_COOKIES;
  #identity = NOBODY;
  /** Sent with the call; by it the visitor consents. */
  #tcString: string | undefined = undefined;
  #consentSignal: ConsentSignal | undefined = undefined;

  constructor(
    site: Site,
    req: ServedRequest,
    res: ServedResponse,
    next: () => void,
    replaced: VisitorSegments | undefined,
  ) {
    this.#site = site;
    this.#req = req;
    this.#res = res;
    this.#next = next;
    this.#replaced = replaced;
    this.#startedAtMs = site.resolver.nowMs();
    this.#requestedAt = site.resolver.moment;
  }

  /** Serves the request: at once, or when what it waits for has come or is late. */
  serve(): void {
    if (this.#site.previews?.answers(this.#req, this.#res)) return;
    const consent = this.#read();
    if ('status' in consent) this.#served(consent);
    else if (consent instanceof Promise) this.#awaitConsent(consent);
    else this.#lookUp(consent, this.#startedAtMs);
  }

  /** Who the visitor is, and whether they may be asked about; or what is served where nothing of that matters. */
  #read(): Consent | Promise<Consent> | ServedAnswer {
    const { cookies, identityReader, siteIdentity, gate, skip, bots, previews } = this.#site;
    const req = this.#req;
    // If the site's function throws, the request is skipped: it may be one that must be left alone.
    const isSkipped = skip?.callSync(req, true);
    let leftAlone: ServedAnswer | undefined = isSkipped ? excluded('skipped') : undefined;
    try {
      // Looked at once: Express gives every request a shape of its own, which makes each look slow.
      const headers = req.headers ?? NO_HEADERS;
      this.#headers = headers;
      if (leftAlone === undefined && bots?.isBot(headers['user-agent'])) leftAlone = excluded('bot');
      const { cookie } = headers;
      this.#found = cookies.find(cookie, cookie === undefined ? req.cookies : undefined);
      // Also one that a robot takes part in, such as a program that makes pictures of pages.
      if (!isSkipped && previews !== undefined) leftAlone = previews.activeIn(this.#found, req) ?? leftAlone;
      const named = identityReader.read(this.#found, req);
      if (leftAlone !== undefined) {
        // Nobody is asked about, but a refusal counts wherever it is seen.
        const { refusal } = gate.heardIn(headers, this.#found, named);
        if (refusal !== undefined) this.#withdraw(refusal, siteIdentity.complete(named, req));
        return leftAlone;
      }
      this.#identity = siteIdentity.complete(named, req);
      return gate.consider(req, headers, this.#found, this.#identity);
    } catch {
      // A getter or proxy of somebody else's. What it hides may be a refusal.
      return leftAlone ?? UNREADABLE;
    }
  }

  /** Removes what is known about the visitor, under each of the ids that the request shows, and ends what is under way. */
  #withdraw(refusal: Refusal, { visitor, problem }: Identity = this.#identity): void {
    const { identityReader, resolver } = this.#site;
    if (problem === undefined) resolver.withdraw(visitor, refusal);
    try {
      for (const other of identityReader.allIn(this.#found, this.#req)) {
        if (other.ecid !== visitor.ecid || other.uuid !== visitor.uuid) resolver.withdraw(other, refusal);
      }
    } catch {
      // A URL that throws when it is looked at hands nobody over.
    }
  }

  /** A prefetch makes no call: the visitor has not asked for the page. */
  get mayCall(): boolean {
    return !isPrefetch(this.#headers);
  }

  signals(): string {
    return this.#site.signals?.of(this.#req) ?? '';
  }

  #awaitConsent(pending: Promise<Consent>): void {
    const { resolver } = this.#site;
    const { visitor } = this.#identity;
    holdRequest(pending, this.#leftMs(), this.#res, {
      arrived: (consent) => {
        // Another request of the same visitor may have refused meanwhile.
        if (resolver.hasWithdrawnSince(this.#requestedAt, visitor)) this.#refused('withdrawn');
        else this.#lookUp(consent, resolver.nowMs());
      },
      failed: () => this.#lookUp(NO_CONSENT, resolver.nowMs()),
      gaveUp: () => {
        // Consent that is not known in time counts as refused. A refusal that arrives later still removes the visitor from the cache.
        pending.then(({ refusal }) => {
          if (refusal !== undefined) this.#withdraw(refusal);
        });
        this.#refused('site');
      },
    });
  }

  #refused(signal: ConsentSignal): void {
    this.#consentSignal = signal;
    this.#served(excluded('no-consent'));
  }

  #lookUp({ refusal, tcString, signal }: Consent, atMs: number): void {
    const { resolver } = this.#site;
    const { visitor, problem } = this.#identity;
    this.#consentSignal = signal;
    if (refusal !== undefined) {
      // Also removes what was cached before the refusal.
      this.#withdraw(refusal);
      this.#site.unidentified.see(this.#headers, this.#req);
      this.#served(excluded(refusal));
      return;
    }
    if (problem !== undefined) {
      this.#site.unidentified.see(this.#headers, this.#req);
      this.#served(anonymous(problem));
      return;
    }
    this.#tcString = tcString;
    const answer = resolver.begin(visitor, tcString, this, atMs);
    if ('status' in answer) this.#served(answer);
    else if ('look' in answer) this.#awaitLook(answer);
    else this.#awaitAnswer(answer);
  }

  #awaitLook({ look, fallback }: PendingLook): void {
    const { resolver } = this.#site;
    holdRequest(look, this.#leftMs(), this.#res, {
      arrived: (answer) => {
        if ('flight' in answer) this.#awaitAnswer(answer);
        else this.#served(answer, 'shared');
      },
      failed: () => this.#served(resolver.pending(fallback, resolver.nowMs())),
      gaveUp: () => this.#served(resolver.pending(fallback, resolver.nowMs())),
    });
  }

  #awaitAnswer({ flight, fallback }: PendingAnswer): void {
    const { resolver, unidentified } = this.#site;
    unidentified.asked();
    holdRequest(flight.promise, flight.isProbe ? 0 : this.#leftMs(), this.#res, {
      arrived: (answer) => {
        const { sharedAgeMs } = flight;
        this.#served(resolver.arrived(answer, sharedAgeMs), sharedAgeMs === undefined ? 'dcs' : 'shared');
      },
      failed: (why) => this.#served(resolver.failed(why as NoAnswer, fallback, resolver.nowMs())),
      gaveUp: () => this.#served(resolver.pending(fallback, resolver.nowMs())),
    });
  }

  /** What is left of `maxWaitMs`. A request whose client has gone is not held. */
  #leftMs(): number {
    const { maxWaitMs, resolver } = this.#site;
    return this.#res.destroyed ? 0 : maxWaitMs - (resolver.nowMs() - this.#startedAtMs);
  }

  #served(served: ServedAnswer, from: From = 'memory'): void {
    const { instance, requests } = this.#site;
    const { visitor } = this.#identity;
    const res = this.#res;
    requests[served.status]++;
    const segments = new VisitorSegments(
      instance,
      visitor,
      served,
      new Reading(res),
      this.#replaced,
      this.#tcString,
      this.#requestedAt,
    );
    expose(this.#req, res, segments, instance);
    if (requestChannel.hasSubscribers) this.#publish(served, from);
    this.#next();
  }

  /** For those who watch. */
  #publish({ status, reason, ageMs, answer }: ServedAnswer, from: From): void {
    const { instance, resolver } = this.#site;
    const { visitor, source } = this.#identity;
    const message: RequestMessage = {
      instance: instance.middleware as object,
      status,
      reason,
      waitMs: resolver.nowMs() - this.#startedAtMs,
      ageMs,
      region: answer === undefined ? undefined : regionOf(answer),
      servedFrom: answer === undefined || status === 'preview' ? undefined : from,
      idSource: source,
      consentSignal: this.#consentSignal,
      pseudonym: pseudonymOf(visitor),
    };
    requestChannel.publish(message);
  }
}

/** Puts segments where handlers and templates find them. */
export function expose(
  req: ServedRequest,
  res: ServedResponse,
  segments: VisitorSegments,
  { privacy }: Instance,
): void {
  req.aamSegments = segments;
  const { locals } = res;
  const hasLocals = locals !== undefined && locals !== null;
  if (hasLocals) locals.aamSegments = segments;
  if (segments.status !== 'preview') return;
  privacy.keepUnstored(res);
  if (hasLocals) locals.aamPreview = VisitorSegments.previewOf(segments);
}
