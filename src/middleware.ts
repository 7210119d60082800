import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { refusalOf } from './consent/gate';
import type { OriginStats } from './dcs/origin-gate';
import { createIdentityReader, type Visitor, visitorKey } from './identity/visitor';
import { type AamSegmentsOptions, resolveOptions } from './options';
import { type Guard, type RequireSegmentOptions, requireSegment } from './routing/require-segment';
import { routeBySegment, type SegmentRouter, type SegmentRoutes } from './routing/route-by-segment';
import { asDcsError, type OnItsWay, SegmentLookup } from './segment-lookup';
import type { SegmentRef } from './segments/segment-refs';
import { checkedVisitor, type LookupOptions, lookupVisitor, type VisitorId } from './visitor-lookup';
import { type SegmentReason, type SegmentStatus, servedBy, type Verdict, VisitorSegments } from './visitor-segments';
import { waitFor } from './waiting-request';

/** Counts since construction, and sizes as they are now. No identifiers. */
export interface AamStats {
  /** Requests by the status that they were served with. */
  readonly requests: Readonly<Record<SegmentStatus, number>>;
  /** Visitors remembered. */
  readonly visitors: number;
  /** Calls made to the DCS. */
  readonly calls: number;
  /** Calls on their way, or waiting for their turn. */
  readonly inFlight: number;
  /** How it stands with each server that was asked, by origin. */
  readonly origins: Readonly<Record<string, OriginStats>>;
  /** What is wrong with the configuration, and what to do: all that was said as the warning `WRN_AAM_DCS`. */
  readonly advice: readonly string[];
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
  /** Forgets what is remembered of a visitor; an answer that is on its way is not remembered either. */
  forget(visitor: VisitorId): void;
  stats(): AamStats;
  /** Ends calls, sockets and timers. Requests go on: from the cache, else `unknown`, reason `closed`. */
  close(): Promise<void>;
  /** {@link requireSegment} with this instance's names. */
  requireSegment(refs: SegmentRef<Name> | readonly SegmentRef<Name>[], options?: RequireSegmentOptions): Guard;
  /** {@link routeBySegment} with this instance's names. */
  routeBySegment(routes: SegmentRoutes<Name>): SegmentRouter;
}

interface ServedRequest extends IncomingMessage {
  aamSegments?: VisitorSegments;
  cookies?: unknown;
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
  const { names, maxWaitMs, orgId, skip } = resolved;
  if (!/^[0-9A-F]{24}@AdobeOrg$/i.test(orgId)) {
    // Legal, but nearly always a slip, and one that would only show as visitors who never have an id.
    process.emitWarning(`the option 'orgId' is ${orgId}; Adobe's are 24 hexadecimal digits and @AdobeOrg`, {
      code: 'WRN_AAM_ORG_ID',
    });
  }
  const lookup = new SegmentLookup(resolved, () => Math.floor(performance.now()));
  const { regions } = resolved.dcs;
  const readIdentity = createIdentityReader({
    orgId,
    sEcid: resolved.identity.sEcid,
    isKnownRegion: (region) => regions.has(region),
  });
  const requests: Record<SegmentStatus, number> = {
    fresh: 0,
    cached: 0,
    stale: 0,
    unknown: 0,
    anonymous: 0,
    excluded: 0,
  };
  let warnedOfSkip = false;
  function aamSegmentsMiddleware(req: ServedRequest, res: ServedResponse, next: (error?: unknown) => void): void {
    const present = req.aamSegments;
    if (present !== undefined) {
      const before = servedBy(present, names);
      if (before !== undefined) {
        expose(req, res, before);
        next();
        return;
      }
    }
    const startedAtMs = lookup.nowMs();
    const { visitor, found } = consider(req, startedAtMs);
    const proceed = (verdict: Verdict) => {
      requests[verdict.status]++;
      expose(req, res, new VisitorSegments(names, visitor, verdict, present));
      next();
    };
    if (!('flight' in found)) {
      proceed(found);
      return;
    }
    const { flight, instead, isProbe } = found;
    const gaveUp = () => proceed(lookup.pending(instead, lookup.nowMs()));
    const waitMs = maxWaitMs - (lookup.nowMs() - startedAtMs);
    if (isProbe || waitMs <= 0 || res.destroyed) {
      gaveUp();
      return;
    }
    waitFor(flight, waitMs, res, {
      gaveUp,
      arrived: (remembered) => proceed(lookup.arrived(remembered)),
      failed: (error) => proceed(lookup.failed(asDcsError(error), instead, lookup.nowMs())),
    });
  }

  /** Who it is, whether we may ask, what is known: all that can be said without waiting. */
  function consider(req: ServedRequest, startedAtMs: number): { visitor: Visitor; found: Verdict | OnItsWay } {
    if (skip !== undefined && isSkipped(req)) return { visitor: {}, found: unasked('excluded', 'skipped') };
    const { cookie } = req.headers;
    const identity = readIdentity(cookie, cookie === undefined ? req.cookies : undefined);
    const { visitor, problem } = identity;
    const refusal = refusalOf(identity);
    if (refusal !== undefined) {
      // Who withdraws is not only not asked about any more: what was learnt before goes too.
      if (problem === undefined) lookup.cache.forget(visitorKey(visitor));
      return { visitor, found: unasked('excluded', refusal) };
    }
    if (problem !== undefined) return { visitor, found: unasked('anonymous', problem) };
    return { visitor, found: lookup.begin(visitor, startedAtMs) };
  }

  function isSkipped(req: ServedRequest): boolean {
    try {
      return Boolean(skip?.(req));
    } catch (error) {
      // Not knowing whether a request is to be left alone, we leave it alone; the site goes on.
      // Said once, and without the message, which may hold what the site knows of the visitor.
      const name = error instanceof Error ? error.name : typeof error;
      if (!warnedOfSkip) process.emitWarning(`the option 'skip' threw: ${name}`, { code: 'WRN_AAM_SKIP_THREW' });
      warnedOfSkip = true;
      return true;
    }
  }

  return Object.assign(aamSegmentsMiddleware, {
    lookup: (visitor: VisitorId, lookupOptions: LookupOptions = {}) =>
      lookupVisitor<Name>(lookup, names, visitor, lookupOptions),
    forget: (visitor: VisitorId) => lookup.cache.forget(visitorKey(checkedVisitor(visitor))),
    stats: () => ({
      requests: { ...requests },
      visitors: lookup.cache.size,
      calls: lookup.client.calls,
      inFlight: lookup.client.inFlight,
      origins: lookup.client.origins,
      advice: lookup.advice.given,
    }),
    close: () => lookup.client.close(),
    requireSegment: requireSegment<Name>,
    routeBySegment: routeBySegment<Name>,
  });
}

function expose(req: ServedRequest, res: ServedResponse, segments: VisitorSegments): void {
  req.aamSegments = segments;
  const { locals } = res;
  if (locals !== undefined) locals.aamSegments = segments;
}

function unasked(status: 'anonymous' | 'excluded', reason: SegmentReason): Verdict {
  return { status, reason, remembered: undefined, ageMs: undefined, failure: undefined };
}
