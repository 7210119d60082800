import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { type Consent, ConsentGate, NO_CONSENT } from './consent/consent-gate';
import { DcsCalls } from './dcs/dcs-calls';
import type { Signals } from './dcs/protocol/signals';
import type { DcsClientStats } from './dcs-client';
import type { AamError, AamErrorCode } from './errors';
import { IdentityReader } from './identity/identity-reader';
import { SiteIdentity } from './identity/site-identity';
import { checkedVisitor, type Identity, type Visitor, type VisitorId } from './identity/visitor';
import { webSdkCookieName } from './identity/web-sdk-cookies';
import { AnswerResolver, asDcsError, type PendingAnswer } from './lookup/answer-resolver';
import { LookupSignals } from './lookup/lookup-signals';
import { type LookupOptions, lookupVisitor } from './lookup/lookup-visitor';
import { sendEventOf } from './lookup/send-event';
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
import type { SegmentRef } from './segments/segment-refs';
import { notAsked, type SegmentStatus, type ServedAnswer } from './segments/served-answer';
import { type Instance, VisitorSegments } from './segments/visitor-segments';

/** Counts since construction, and sizes as they are now. No identifiers. */
export interface AamStats extends DcsClientStats {
  /** Requests by the status that they were served with. */
  readonly requests: Readonly<Record<SegmentStatus, number>>;
  /** Visitors remembered. */
  readonly visitors: number;
}

/** The middleware, and what can be done with it beside mounting it. */
export interface AamSegments<Name extends string = string> {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /**
   * The segments of a visitor outside of a request. Shares the cache and the calls with the requests. Applies no consent:
   * whoever calls it has made sure of that.
   * @throws {AamError} by rejection, only when there is nothing to serve: the `ERR_AAM_DCS_*` of the failure,
   * `ERR_AAM_DCS_TIMEOUT` also when `maxWaitMs` is over, `ERR_AAM_CLOSED`; `ERR_AAM_INVALID_OPTION` for what is no
   * visitor; the signal's reason
   */
  lookup(visitor: VisitorId, options?: LookupOptions): Promise<VisitorSegments<Name>>;
  /**
   * Tells the DCS what the visitor of this request has done, by `/event` with these signals, and gives the segments that
   * they are in now; they replace the remembered ones, and the visitor's next page waits for them. One visitor's events go
   * out one after the other, never beside a lookup. The consent of the request applies: where nobody may be asked about,
   * or there is nobody, nothing is sent and the request's own segments are given, whose `status` says why. Can be left
   * unawaited: a failure is then counted in {@link AamStats.events}, and a mistake in the signals said once.
   * @throws {AamError} by rejection: `ERR_AAM_INVALID_SIGNAL`, `ERR_AAM_EVENT_TOO_LARGE` (over 32 000 bytes),
   * `ERR_AAM_EVENT_DROPPED` (too many were waiting), the `ERR_AAM_DCS_*` of a failed call, `ERR_AAM_CLOSED`,
   * `ERR_AAM_MIDDLEWARE_MISSING`
   */
  sendEvent(req: IncomingMessage, signals: Signals): Promise<VisitorSegments<Name>>;
  /** Forgets what is remembered of a visitor; an answer that is on its way is not remembered either. */
  forget(visitor: VisitorId): void;
  stats(): AamStats;
  /** Ends calls, sockets and timers. Requests go on: from the cache, else `unknown`, reason `closed`. */
  close(): Promise<void>;
  /**
   * {@link requireSegment} with this instance's names. It decides by the segments that this instance has served, whatever
   * other instances ran behind it; where it has not run, `next(err)` gets `ERR_AAM_MIDDLEWARE_MISSING`.
   */
  requireSegment(refs: SegmentRef<Name> | readonly SegmentRef<Name>[], options?: RequireSegmentOptions): Guard;
  /** {@link routeBySegment} with this instance's names, deciding by the segments that this instance has served. */
  routeBySegment<H extends AnyRequestHandler>(routes: SegmentRoutes<Name, H>): SegmentRouter<H>;
}

interface ServedRequest extends IncomingMessage {
  aamSegments?: VisitorSegments;
  cookies?: unknown;
  /** Express has it, and Connect has it in apps that are mounted. */
  originalUrl?: string;
}

interface ServedResponse extends ServerResponse {
  /** Express has it, Connect has not. */
  locals?: Record<string, unknown>;
}

/**
 * Creates the middleware. Create it once, at start-up: it owns a cache and a pool of sockets.
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 */
export function aamSegments<const Name extends string = never>(options: AamSegmentsOptions<Name>): AamSegments<Name> {
  const resolved = resolveOptions(options);
  const { maxWaitMs, orgId } = resolved;
  const nowMs = () => Math.floor(performance.now());
  const dcs = new DcsCalls({ ...resolved.dcs, noDataIntervalMs: resolved.cache.emptyTtlMs, nowMs });
  const lookup = new AnswerResolver(resolved, dcs, nowMs);
  const instance: Instance = { names: resolved.names, privacy: new ResponsePrivacy(resolved.privacy) };
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
  };
  function aamSegmentsMiddleware(req: ServedRequest, res: ServedResponse, next: (error?: unknown) => void): void {
    const present = req.aamSegments;
    if (present !== undefined) {
      const before = VisitorSegments.servedBy(present, instance);
      if (before !== undefined) {
        expose(req, res, before === present ? before : VisitorSegments.restored(before, present));
        next();
        return;
      }
    }
    const startedAtMs = lookup.nowMs();
    const leftMs = () => (res.destroyed ? 0 : maxWaitMs - (lookup.nowMs() - startedAtMs));
    const proceed = (visitor: Visitor, verdict: ServedAnswer, tcString?: string) => {
      requests[verdict.status]++;
      expose(req, res, new VisitorSegments(instance, visitor, verdict, res, present, tcString));
      next();
    };
    const serve = (visitor: Visitor, found: ServedAnswer | PendingAnswer, tcString: string | undefined) => {
      if (!('flight' in found)) {
        proceed(visitor, found, tcString);
        return;
      }
      const { flight, instead, isProbe } = found;
      const waitMs = isProbe ? 0 : leftMs();
      holdRequest(flight.promise, waitMs, res, {
        gaveUp: () => proceed(visitor, lookup.pending(instead, lookup.nowMs()), tcString),
        arrived: (remembered) => proceed(visitor, lookup.arrived(remembered), tcString),
        failed: (error) => proceed(visitor, lookup.failed(asDcsError(error), instead, lookup.nowMs()), tcString),
      });
    };

    const exclusion = leftAlone(req);
    if (exclusion !== undefined) {
      proceed({}, notAsked('excluded', exclusion));
      return;
    }
    const { cookie } = req.headers;
    const found = cookies.find(cookie, cookie === undefined ? req.cookies : undefined);
    const identity = siteIdentity.complete(identityReader.read(found, req.originalUrl ?? req.url), req);
    const consent = gate.consider(req, found, identity);
    if (!(consent instanceof Promise)) {
      serve(identity.visitor, decide(req, identity, consent, startedAtMs), consent.tcString);
      return;
    }
    const decideLater = (answer: Consent) => decide(req, identity, answer, lookup.nowMs());
    holdRequest(consent, leftMs(), res, {
      arrived: (answer) => serve(identity.visitor, decideLater(answer), answer.tcString),
      failed: () => proceed(identity.visitor, decideLater(NO_CONSENT) as ServedAnswer),
      gaveUp: () => {
        // Not known in time is no yes. A no that comes late still ends what is known and what is on its way.
        consent.then(({ refusal }) => {
          if (refusal !== undefined) lookup.withdraw(identity.visitor, refusal);
        });
        proceed(identity.visitor, notAsked('excluded', 'no-consent'));
      },
    });
  }

  /** Why a request is served without even looking at who makes it. */
  function leftAlone(req: ServedRequest): 'skipped' | 'bot' | undefined {
    // Not knowing whether a request is to be left alone, we leave it alone; the site goes on.
    if (skip?.call(req, true)) return 'skipped';
    return bots?.isBot(req.headers['user-agent']) ? 'bot' : undefined;
  }

  /** All that can be said without waiting. */
  function decide(
    req: ServedRequest,
    identity: Identity,
    consent: Consent,
    nowMs: number,
  ): ServedAnswer | PendingAnswer {
    const { visitor, problem } = identity;
    const { refusal, tcString } = consent;
    if (refusal !== undefined) {
      // Who withdraws is not only not asked about any more: what was learnt before goes too.
      if (problem === undefined) lookup.withdraw(visitor, refusal);
      return notAsked('excluded', refusal);
    }
    if (problem !== undefined) return notAsked('anonymous', problem);
    const signalsOf = signals && (() => signals.of(req));
    return lookup.begin(visitor, tcString, !isPrefetch(req.headers), nowMs, signalsOf);
  }

  return Object.assign(aamSegmentsMiddleware, {
    lookup: (visitor: VisitorId, lookupOptions: LookupOptions = {}) =>
      lookupVisitor<Name>(lookup, instance, visitor, lookupOptions),
    sendEvent: (req: IncomingMessage, signals: Signals) => {
      const sent = sendEventOf<Name>(lookup, instance, req, signals);
      // Who does not wait for it need not do anything about it either.
      sent.catch(complainAboutEvent);
      return sent;
    },
    forget: (visitor: VisitorId) => lookup.forget(checkedVisitor(visitor)),
    stats: () => ({
      requests: { ...requests },
      visitors: lookup.size,
      ...dcs.stats(),
      advice: lookup.advice,
    }),
    close: () => dcs.close(),
    requireSegment: (refs: SegmentRef | readonly SegmentRef[], guardOptions?: RequireSegmentOptions) =>
      createGuard(segmentsOf, refs, guardOptions),
    routeBySegment: (routes: SegmentRoutes) => createSegmentRouter(segmentsOf, routes),
  });
}

/** Those are the site's to mend, and would go unseen where nobody awaits the event. Each code is said once. */
function complainAboutEvent({ code, message }: AamError): void {
  if (!SITES_OWN.includes(code) || complainedAbout.has(code)) return;
  complainedAbout.add(code);
  process.emitWarning(`sendEvent(): ${message}`, { code: 'WRN_AAM_EVENT' });
}

const SITES_OWN: readonly AamErrorCode[] = [
  'ERR_AAM_INVALID_SIGNAL',
  'ERR_AAM_EVENT_TOO_LARGE',
  'ERR_AAM_MIDDLEWARE_MISSING',
];
const complainedAbout = new Set<AamErrorCode>();

function expose(req: ServedRequest, res: ServedResponse, segments: VisitorSegments): void {
  req.aamSegments = segments;
  const { locals } = res;
  if (locals !== undefined) locals.aamSegments = segments;
}
