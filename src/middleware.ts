import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { DcsPublisher } from './channels/dcs-publisher';
import { ConsentGate } from './consent/consent-gate';
import type { ConsentExplanation } from './consent/explanation';
import { createDcs } from './dcs/dcs-calls';
import type { Signals } from './dcs/protocol/signals';
import type { DcsClientStats } from './dcs-client';
import { InstanceWatch } from './diagnosis/instances';
import { Warnings } from './diagnosis/warnings';
import { AamError, type AamErrorCode } from './errors';
import type { Experiment } from './experiments/experiment';
import type { ExperimentOptions } from './experiments/experiment-options';
import { Experiments } from './experiments/experiments';
import { StickyUnits } from './experiments/sticky-units';
import { IdentityReader } from './identity/identity-reader';
import { SiteIdentity } from './identity/site-identity';
import { checkedVisitor, type VisitorId } from './identity/visitor';
import { webSdkCookieName } from './identity/web-sdk-cookies';
import { AnswerResolver } from './lookup/answer-resolver';
import { LookupSignals } from './lookup/lookup-signals';
import { type LookupOptions, lookupVisitor } from './lookup/lookup-visitor';
import { type SendEventOptions, sendEventOf } from './lookup/send-event';
import { assert } from './option-checks';
import { type AamSegmentsOptions, type ResolvedOptions, resolveOptions } from './options/aam-segments-options';
import type { PreviewLinkOptions } from './preview/preview-options';
import { Previews } from './preview/previews';
import { BotDetector } from './request/bots';
import { CookieFinder } from './request/cookie-header';
import { ResponsePrivacy } from './request/response-privacy';
import { SiteCallback } from './request/site-callback';
import { segmentsServedBy } from './routing/request-segments';
import { createGuard, type Guard, type RequireSegmentOptions } from './routing/require-segment';
import { createSegmentRouter, type SegmentRouter, type SegmentRoutes } from './routing/route-by-segment';
import type { AnyRequestHandler } from './routing/run-handler';
import { addInstance } from './segments/middleware-missing';
import type { SegmentRef } from './segments/segment-refs';
import type { SegmentStatus } from './segments/served-answer';
import { type Instance, VisitorSegments } from './segments/visitor-segments';
import { explainConsent } from './serving/explain-consent';
import { expose, PageRequest, type ServedRequest, type ServedResponse, type Site } from './serving/page-request';
import { UnidentifiedRequests } from './serving/unidentified-requests';
import { joinFleet } from './shared-tier/create-tier';

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
   * `ERR_AAM_DCS_TIMEOUT` also after `maxWaitMs`, `ERR_AAM_CLOSED`; `ERR_AAM_INVALID_OPTION` for an invalid visitor;
   * `ERR_AAM_MIDDLEWARE_MISSING` for a `req` that has not passed this middleware. Rejects
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
  /** For those who ask why a visitor is or is not asked about. */
  readonly consent: {
    /**
     * What a request says about consent, source by source, and what decides, by this instance's options. Can be called before
     * the middleware has run, and without it. Calls neither the DCS nor any of the site's functions, and changes nothing: where
     * `consent.given` decides, the verdict is `up-to-site`. It is about consent alone, so it leaves aside `skip`, bots, whether
     * there is an id, and what other requests of the visitor have said. Contains no identifier, so it can be logged.
     * @throws {AamError} `ERR_AAM_INVALID_OPTION` for what is no request
     *
     * @example
     * app.get('/privacy', (req, res) => res.json(aam.consent.explain(req)));
     */
    explain(req: IncomingMessage): ConsentExplanation;
  };
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
  /**
   * An A/B test among the visitors of a segment, or among all. Define it once, at startup.
   * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_UNKNOWN_SEGMENT`
   *
   * @example
   * const hero = aam.experiment({ name: 'autumn-hero', variants: { control: 50, links: 50 }, audience: 'golfFans' });
   * app.get('/', (req, res) => res.render(hero.variantOf(req) === 'links' ? 'links' : 'home'));
   */
  experiment<const Variant extends string>(options: ExperimentOptions<Name, Variant>): Experiment<Variant>;
  /**
   * A signed link by which somebody sees the site as a visitor in these segments would. It is valid for the host of the URL, for
   * everybody who has it, until it expires; it needs the option `preview`.
   * @param url an absolute URL of a page of the site
   * @throws {AamError} `ERR_AAM_INVALID_OPTION` (also for a link of more than 3 072 characters), `ERR_AAM_UNKNOWN_OPTION`,
   * `ERR_AAM_UNKNOWN_SEGMENT`
   *
   * @example
   * aam.previewUrl('https://shop.example/landing', { segments: ['golfFans'], variants: { 'autumn-hero': 'links' } });
   */
  previewUrl(url: string | URL, options?: PreviewLinkOptions<Name>): string;
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
  const fleet = fleetOf(resolved, publisher);
  const dcs = createDcs({ ...resolved.dcs, noDataCooldownMs: resolved.cache.emptyTtlMs }, publisher, fleet?.tier);
  const cache = fleet === undefined ? resolved.cache : { ...resolved.cache, keySecret: fleet.keySecret };
  const resolver = new AnswerResolver({ ...resolved, cache }, dcs, nowMs, fleet?.tier);
  const privacy = new ResponsePrivacy(resolved.privacy);
  const watch = new InstanceWatch('aamSegments()', orgId, resolved.dcs.partnerHost);
  const instance: Instance = {
    names: resolved.names,
    privacy,
    middleware: aamSegmentsMiddleware,
    hasServed: () => Object.values(requests).some((count) => count > 0),
  };
  addInstance(instance);
  const segmentsOf = segmentsServedBy(instance);
  const cookies = new CookieFinder();
  const account = { orgId, partnerHost: resolved.dcs.partnerHost };
  const { onExposure, stickyCookie } = resolved.experiments;
  const isKeptOnRefusal = resolved.consent.given !== undefined;
  const stickyUnits = stickyCookie && new StickyUnits({ ...stickyCookie, isKeptOnRefusal }, account, privacy);
  const experiments = new Experiments(instance, onExposure, stickyUnits);
  const previews = resolved.preview && new Previews(resolved.preview, account, instance, cookies);
  const { regions } = resolved.dcs;
  const requests: Record<SegmentStatus, number> = {
    fresh: 0,
    cached: 0,
    stale: 0,
    unknown: 0,
    anonymous: 0,
    excluded: 0,
    preview: 0,
  };
  const unidentified = new UnidentifiedRequests(orgId, requests);
  const site: Site = {
    instance,
    resolver,
    cookies,
    identityReader: new IdentityReader(
      { ...resolved.identity, orgId, isKnownRegion: (region) => regions.has(region) },
      cookies,
    ),
    siteIdentity: new SiteIdentity(resolved.identity),
    gate: new ConsentGate(
      {
        ...resolved.consent,
        webSdkCookie: webSdkCookieName(orgId, 'consent'),
        isAskedOfAll: stickyCookie !== undefined,
      },
      cookies,
    ),
    bots: resolved.excludeBots ? new BotDetector() : undefined,
    skip: resolved.skip && new SiteCallback('options.skip', 'WRN_AAM_SKIP_THREW', resolved.skip),
    signals: resolved.signals && new LookupSignals(resolved.signals),
    previews,
    maxWaitMs,
    requests,
    unidentified,
  };

  function aamSegmentsMiddleware(req: ServedRequest, res: ServedResponse, next: (error?: unknown) => void): void {
    const replaced = req.aamSegments;
    const own = VisitorSegments.servedBy(replaced, instance);
    if (own === undefined) {
      if (watch.isBeingCreated) watch.sees(req);
      new PageRequest(site, req, res, next, replaced).serve();
      return;
    }
    // Mounted more than once: this request has been served already.
    expose(req, res, VisitorSegments.restored(own, replaced, res), instance);
    next();
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
    consent: { explain: (req: IncomingMessage) => explainConsent(site, req) },
    forget: (visitor: VisitorId) => resolver.forget(checkedVisitor(visitor)),
    stats: () => ({
      requests: { ...requests },
      visitors: resolver.size,
      ...dcs.stats(),
      ...(fleet && { shared: fleet.tier.stats() }),
      advice: [...resolver.advice, ...unidentified.advice],
    }),
    async close() {
      watch.closed();
      await dcs.close();
      await fleet?.tier.close();
    },
    requireSegment: (refs: SegmentRef | readonly SegmentRef[], guardOptions?: RequireSegmentOptions) =>
      createGuard(segmentsOf, refs, guardOptions),
    routeBySegment: (routes: SegmentRoutes) => createSegmentRouter(segmentsOf, routes),
    experiment: <Variant extends string>(options: ExperimentOptions<Name, Variant>) =>
      experiments.define(options) as Experiment<Variant>,
    previewUrl: (url: string | URL, options: PreviewLinkOptions<Name> = {}) => {
      assert(previews !== undefined, 'options.preview', 'given: without a secret there are no previews', undefined);
      return previews.link(url, options, (name) => experiments.variantsOf(name));
    },
  });
}

/** What an instance needs to share what it knows; `undefined` for one that does not. */
function fleetOf({ cache, dcs, destinations }: ResolvedOptions, publisher: DcsPublisher) {
  const { shared: store, keySecret } = cache;
  if (store === undefined || keySecret === undefined) return undefined;
  const member = { ...cache, ...dcs, destinations, store, keySecret };
  return joinFleet(member, (status, previous) => publisher.sharedStore(status, previous));
}

/** Mistakes in a call of `sendEvent()`, which would go unnoticed where its promise is not awaited. */
const SITE_ERRORS: readonly AamErrorCode[] = [
  'ERR_AAM_INVALID_SIGNAL',
  'ERR_AAM_EVENT_TOO_LARGE',
  'ERR_AAM_MIDDLEWARE_MISSING',
  'ERR_AAM_INVALID_OPTION',
  'ERR_AAM_UNKNOWN_OPTION',
];
const eventWarnings = new Warnings();

/** Warns once per code. */
function warnOfSiteError(error: unknown): void {
  if (!(error instanceof AamError)) return;
  const { code, message } = error;
  if (SITE_ERRORS.includes(code)) eventWarnings.warn('WRN_AAM_EVENT', `sendEvent(): ${message}`, code);
}
