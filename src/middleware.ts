import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { requestChannel } from './channels/channels';
import { DcsPublisher } from './channels/dcs-publisher';
import type { ConsentSignal, IdSource, RequestMessage } from './channels/messages';
import { type Consent, ConsentGate, NO_CONSENT } from './consent/consent-gate';
import { createDcs } from './dcs/dcs-calls';
import type { Signals } from './dcs/protocol/signals';
import type { DcsClientStats } from './dcs-client';
import { AamError, type AamErrorCode } from './errors';
import { IdentityReader } from './identity/identity-reader';
import { pseudonymOf } from './identity/pseudonym';
import { SiteIdentity } from './identity/site-identity';
import { checkedVisitor, type Identity, type Visitor, type VisitorId } from './identity/visitor';
import { webSdkCookieName } from './identity/web-sdk-cookies';
import type { NoAnswer } from './lookup/answer-loader';
import { AnswerResolver, type PendingAnswer } from './lookup/answer-resolver';
import { LookupSignals } from './lookup/lookup-signals';
import { type LookupOptions, lookupVisitor } from './lookup/lookup-visitor';
import { type SendEventOptions, sendEventOf } from './lookup/send-event';
import { type AamSegmentsOptions, resolveOptions } from './options/aam-segments-options';
import { BotDetector } from './request/bots';
import { CookieFinder } from './request/cookie-header';
import { holdRequest } from './request/hold-request';
import { isPrefetch } from './request/prefetch';
import { ResponsePrivacy } from './request/response-privacy';
import { SiteCallback } from './request/site-callback';
import { segmentsServedBy } from './routing/request-segments';
import { createGuard, type Guard, type RequireSegmentOptions } from './routing/require-segment';
import { createSegmentRouter, type SegmentRouter, type SegmentRoutes } from './routing/route-by-segment';
import type { AnyRequestHandler } from './routing/run-handler';
import { regionOf } from './segments/packed-answer';
import type { SegmentRef } from './segments/segment-refs';
import { anonymous, excluded, type SegmentStatus, type ServedAnswer } from './segments/served-answer';
import { type Instance, VisitorSegments } from './segments/visitor-segments';

/** Counts since construction, and current sizes. Contains no identifiers. */
export interface AamStats extends DcsClientStats {
  /** Requests by the status of their segments. */
  readonly requests: Readonly<Record<SegmentStatus, number>>;
  /** Visitors in the cache. */
  readonly visitors: number;
}

/** The middleware, with methods for use outside of its own requests. */
export interface AamSegments<Name extends string = string> {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /**
   * Resolves with the segments of a visitor outside of a request. Shares the cache and the calls with the requests. Does not
   * check consent: that is up to the caller.
   * @throws {AamError} by rejection, only if there is nothing to serve: the `ERR_AAM_DCS_*` code of the failure,
   * `ERR_AAM_DCS_TIMEOUT` also after `maxWaitMs`, `ERR_AAM_CLOSED`; `ERR_AAM_INVALID_OPTION` for an invalid visitor. Rejects
   * with the signal's reason when it aborts.
   */
  lookup(visitor: VisitorId, options?: LookupOptions): Promise<VisitorSegments<Name>>;
  /**
   * Sends an event with these signals for the visitor of a request, and resolves with the visitor's segments after it. They
   * replace the cached ones, and the visitor's next page waits for them, unless `refresh` is `false`. Events of one visitor are sent in order, and never
   * during a lookup. The consent of the request applies: without a visitor or without consent nothing is sent, and the
   * promise resolves with the request's own segments, whose `status` and `reason` tell why. Need not be awaited: failures
   * are counted in {@link AamStats.events}, and mistakes in the call are warned about once.
   * @throws {AamError} by rejection: `ERR_AAM_INVALID_SIGNAL`, `ERR_AAM_EVENT_TOO_LARGE` (over 32 000 bytes),
   * `ERR_AAM_EVENT_DROPPED` (the queue was full), the `ERR_AAM_DCS_*` code of a failed call, `ERR_AAM_CLOSED`,
   * `ERR_AAM_MIDDLEWARE_MISSING`, `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
   *
   * @example
   * app.post('/cart', (req, res) => {
   *   aam.sendEvent(req, { c_product: 'irons' });
   *   res.redirect('/cart');
   * });
   */
  sendEvent(req: IncomingMessage, signals: Signals, options?: SendEventOptions): Promise<VisitorSegments<Name>>;
  /** Removes a visitor from the cache. The answer of a call in flight is not cached either. */
  forget(visitor: VisitorId): void;
  /** Counts since construction and current state, without identifiers. */
  stats(): AamStats;
  /**
   * Aborts lookups and frees sockets and timers. Queued events are sent first, for up to `dcs.timeoutMs`. Requests continue to
   * be served: from the cache, or as `unknown` with the reason `closed`. Idempotent.
   */
  close(): Promise<void>;
  /**
   * {@link requireSegment} with this instance's names. It decides by the segments that this instance has served, even if
   * other instances ran after it. If this instance has not run, `next(err)` gets `ERR_AAM_MIDDLEWARE_MISSING`.
   */
  requireSegment(refs: SegmentRef<Name> | readonly SegmentRef<Name>[], options?: RequireSegmentOptions): Guard;
  /** {@link routeBySegment} with this instance's names, deciding by the segments that this instance has served. */
  routeBySegment<H extends AnyRequestHandler>(routes: SegmentRoutes<Name, H>): SegmentRouter<H>;
}

interface ServedRequest extends IncomingMessage {
  aamSegments?: VisitorSegments;
  cookies?: unknown;
  /** Set by Express, and by Connect in mounted apps. */
  originalUrl?: string;
}

interface ServedResponse extends ServerResponse {
  /** Set by Express, not by Connect. */
  locals?: Record<string, unknown>;
}

/**
 * Creates the middleware. Create it once, at startup: it owns a cache and a pool of sockets.
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 *
 * @example
 * const aam = aamSegments({ orgId: '1FD6776A524453CC0A490D44@AdobeOrg', partner: 'acme', segments: { golfFans: 984263 } });
 * app.use(aam);
 */
export function aamSegments<const Name extends string = never>(options: AamSegmentsOptions<Name>): AamSegments<Name> {
  const resolved = resolveOptions(options);
  const { maxWaitMs, orgId } = resolved;
  const nowMs = () => Math.floor(performance.now());
  const publisher = new DcsPublisher(() => aamSegmentsMiddleware);
  const dcs = createDcs({ ...resolved.dcs, noDataCooldownMs: resolved.cache.emptyTtlMs }, publisher);
  const resolver = new AnswerResolver(resolved, dcs, nowMs);
  const privacy = new ResponsePrivacy(resolved.privacy);
  const instance: Instance = { names: resolved.names, privacy, middleware: aamSegmentsMiddleware };
  const segmentsOf = segmentsServedBy(instance);
  const cookies = new CookieFinder();
  const { regions } = resolved.dcs;
  const identityReader = new IdentityReader(
    { ...resolved.identity, orgId, isKnownRegion: (region) => regions.has(region) },
    cookies,
  );
  const siteIdentity = new SiteIdentity(resolved.identity);
  const gate = new ConsentGate({ ...resolved.consent, webSdkCookie: webSdkCookieName(orgId, 'consent') }, cookies);
  const bots = resolved.excludeBots ? new BotDetector() : undefined;
  const skip = resolved.skip && new SiteCallback('options.skip', 'WRN_AAM_SKIP_THREW', resolved.skip);
  const signals = resolved.signals && new LookupSignals(resolved.signals);
  const requests: Record<SegmentStatus, number> = {
    fresh: 0,
    cached: 0,
    stale: 0,
    unknown: 0,
    anonymous: 0,
    excluded: 0,
    preview: 0,
  };

  function aamSegmentsMiddleware(req: ServedRequest, res: ServedResponse, next: (error?: unknown) => void): void {
    const replaced = req.aamSegments;
    const own = VisitorSegments.servedBy(replaced, instance);
    if (own !== undefined) {
      // Mounted more than once: this request has been served already.
      expose(req, res, VisitorSegments.restored(own, replaced));
      next();
      return;
    }
    const startedAtMs = nowMs();
    const requestedAt = resolver.moment;
    let idSource: IdSource | undefined;
    let consentSignal: ConsentSignal | undefined;
    const exclusion = exclusionOf(req);
    if (exclusion !== undefined) {
      serve({}, excluded(exclusion));
      return;
    }
    const { cookie } = req.headers;
    const found = cookies.find(cookie, cookie === undefined ? req.cookies : undefined);
    const identity = siteIdentity.complete(identityReader.read(found, req.originalUrl ?? req.url), req);
    const { visitor } = identity;
    idSource = identity.source;
    const consent = gate.consider(req, found, identity);
    if (consent instanceof Promise) awaitConsent(consent);
    else lookUp(consent, startedAtMs);

    function awaitConsent(pending: Promise<Consent>): void {
      holdRequest(pending, leftMs(), res, {
        arrived: (answer) => {
          // Another request of the same visitor may have refused meanwhile.
          if (!resolver.hasWithdrawnSince(requestedAt, visitor)) {
            lookUp(answer, nowMs());
            return;
          }
          consentSignal = 'withdrawn';
          serve(visitor, excluded('no-consent'));
        },
        failed: () => lookUp(NO_CONSENT, nowMs()),
        gaveUp: () => {
          // Consent that is not known in time counts as refused. A refusal that arrives later still removes the visitor from the cache.
          pending.then(({ refusal }) => {
            if (refusal !== undefined) resolver.withdraw(visitor, refusal);
          });
          consentSignal = 'site';
          serve(visitor, excluded('no-consent'));
        },
      });
    }

    function lookUp(answeredConsent: Consent, atMs: number): void {
      const { tcString } = answeredConsent;
      consentSignal = answeredConsent.signal;
      const answer = answerTo(req, identity, answeredConsent, atMs);
      if ('flight' in answer) awaitAnswer(answer, tcString);
      else serve(visitor, answer, tcString);
    }

    function awaitAnswer({ flight, fallback }: PendingAnswer, tcString: string | undefined): void {
      holdRequest(flight.promise, flight.isProbe ? 0 : leftMs(), res, {
        arrived: (answer) => serve(visitor, resolver.arrived(answer), tcString, 'dcs'),
        failed: (why) => serve(visitor, resolver.failed(why as NoAnswer, fallback, nowMs()), tcString),
        gaveUp: () => serve(visitor, resolver.pending(fallback, nowMs()), tcString),
      });
    }

    function serve(servedVisitor: Visitor, served: ServedAnswer, tcString?: string, from: From = 'memory'): void {
      requests[served.status]++;
      expose(req, res, new VisitorSegments(instance, servedVisitor, served, res, replaced, tcString, requestedAt));
      if (requestChannel.hasSubscribers) {
        const servedFrom = served.answer === undefined ? undefined : from;
        publishRequest(servedVisitor, served, nowMs() - startedAtMs, { servedFrom, idSource, consentSignal });
      }
      next();
    }

    /** What is left of `maxWaitMs`. A request whose client has gone is not held. */
    function leftMs(): number {
      return res.destroyed ? 0 : maxWaitMs - (nowMs() - startedAtMs);
    }
  }

  /** For those who watch. */
  function publishRequest(
    visitor: Visitor,
    { status, reason, ageMs, answer }: ServedAnswer,
    waitMs: number,
    how: Pick<RequestMessage, 'servedFrom' | 'idSource' | 'consentSignal'>,
  ): void {
    const seen = {
      status,
      reason,
      waitMs,
      ageMs,
      region: answer === undefined ? undefined : regionOf(answer),
      ...how,
      pseudonym: pseudonymOf(visitor),
    };
    const message: RequestMessage = { instance: aamSegmentsMiddleware, ...seen };
    requestChannel.publish(message);
  }

  /** Why a request is excluded before its cookies are read. */
  function exclusionOf(req: ServedRequest): 'skipped' | 'bot' | undefined {
    // If the site's function throws, the request is skipped: it may be one that must be left alone.
    if (skip?.callSync(req, true)) return 'skipped';
    return bots?.isBot(req.headers['user-agent']) ? 'bot' : undefined;
  }

  /** What can be served at once, or the pending answer to wait for. */
  function answerTo(
    req: ServedRequest,
    { visitor, problem }: Identity,
    { refusal, tcString }: Consent,
    atMs: number,
  ): ServedAnswer | PendingAnswer {
    if (refusal !== undefined) {
      // Also removes what was cached before the refusal.
      if (problem === undefined) resolver.withdraw(visitor, refusal);
      return excluded(refusal);
    }
    if (problem !== undefined) return anonymous(problem);
    const signalsOf = signals && (() => signals.of(req));
    return resolver.begin(visitor, tcString, !isPrefetch(req.headers), atMs, signalsOf);
  }

  return Object.assign(aamSegmentsMiddleware, {
    lookup: (visitor: VisitorId, lookupOptions: LookupOptions = {}) =>
      lookupVisitor<Name>(resolver, instance, visitor, lookupOptions),
    sendEvent: (req: IncomingMessage, eventSignals: Signals, eventOptions: SendEventOptions = {}) => {
      const sent = sendEventOf<Name>(resolver, instance, req, eventSignals, eventOptions);
      // The promise need not be awaited, so its rejection must not be an unhandled one.
      sent.catch(warnOfSiteError);
      return sent;
    },
    forget: (visitor: VisitorId) => resolver.forget(checkedVisitor(visitor)),
    stats: () => ({
      requests: { ...requests },
      visitors: resolver.size,
      ...dcs.stats(),
      advice: resolver.advice,
    }),
    close: () => dcs.close(),
    requireSegment: (refs: SegmentRef | readonly SegmentRef[], guardOptions?: RequireSegmentOptions) =>
      createGuard(segmentsOf, refs, guardOptions),
    routeBySegment: (routes: SegmentRoutes) => createSegmentRouter(segmentsOf, routes),
  });
}

/** Where an answer is served from. */
type From = NonNullable<RequestMessage['servedFrom']>;

/** Mistakes in a call of `sendEvent()`, which would go unnoticed where its promise is not awaited. */
const SITE_ERRORS: readonly AamErrorCode[] = [
  'ERR_AAM_INVALID_SIGNAL',
  'ERR_AAM_EVENT_TOO_LARGE',
  'ERR_AAM_MIDDLEWARE_MISSING',
  'ERR_AAM_INVALID_OPTION',
  'ERR_AAM_UNKNOWN_OPTION',
];
const warnedCodes = new Set<AamErrorCode>();

/** Warns once per code. */
function warnOfSiteError(error: unknown): void {
  if (!(error instanceof AamError)) return;
  const { code, message } = error;
  if (!SITE_ERRORS.includes(code) || warnedCodes.has(code)) return;
  warnedCodes.add(code);
  process.emitWarning(`sendEvent(): ${message}`, { code: 'WRN_AAM_EVENT' });
}

function expose(req: ServedRequest, res: ServedResponse, segments: VisitorSegments): void {
  req.aamSegments = segments;
  const { locals } = res;
  if (locals !== undefined && locals !== null) locals.aamSegments = segments;
}
