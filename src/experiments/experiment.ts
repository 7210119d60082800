/** Owns: an experiment: which variant a request gets and why, and telling that it was used. Next: experiments.ts. */
import type { IncomingMessage } from 'node:http';
import { assert, isRecord } from '../option-checks';
import { isPrefetch } from '../request/prefetch';
import type { SegmentsOf } from '../routing/request-segments';
import type { Guard } from '../routing/require-segment';
import { checkedHandlers, type SegmentHandlers, type SegmentRouter } from '../routing/route-by-segment';
import { type AnyRequestHandler, runInOrder, toError } from '../routing/run-handler';
import { VisitorSegments } from '../segments/visitor-segments';
import { isHeldOut, pseudonymNumber, variantFor } from './allocation';
import type { ResolvedExperiment } from './experiment-options';
import { SeenUnits } from './seen-units';
import type { StickyUnits } from './sticky-units';

/**
 * Why a request has its variant: `assigned` by the draw; all others get the control. `unknown`: the experiment has an audience, and
 * there was no answer about the visitor in time. `no-unit`: the visitor has no id. `excluded`: refused, a robot, or skipped.
 * `preview`: in a preview, which may name a variant.
 */
export type AssignmentReason =
  | 'assigned'
  | 'not-in-audience'
  | 'unknown'
  | 'no-unit'
  | 'excluded'
  | 'holdout'
  | 'preview';

/** The variant of a request. */
export interface ExperimentAssignment<Variant extends string = string> {
  readonly variant: Variant;
  readonly reason: AssignmentReason;
  /** Whether this process has reported the unit as exposed and still remembers it. */
  readonly isExposed: boolean;
}

/** A unit has used a variant: the argument of the option `experiments.onExposure`. */
export interface Exposure {
  /** The name of the experiment. */
  readonly experiment: string;
  readonly variant: string;
  /** `holdout`: the unit would have taken part, and is to be counted apart. */
  readonly reason: 'assigned' | 'holdout';
}

/** What `aam.experiment()` returns. */
export interface Experiment<Variant extends string = string> {
  readonly name: string;
  /** A handler that passes a request on to the handlers of its variant. Each variant needs one. Counts as an exposure. */
  route<H extends AnyRequestHandler>(handlers: { readonly [Key in Variant]: SegmentHandlers<H> }): SegmentRouter<H>;
  /**
   * The variant of a request, to be used for its response. Counts as an exposure.
   * @throws {AamError} `ERR_AAM_MIDDLEWARE_MISSING`
   */
  variantOf(req: IncomingMessage): Variant;
  /**
   * The variant and why, without an exposure.
   * @throws {AamError} `ERR_AAM_MIDDLEWARE_MISSING`
   */
  assignmentOf(req: IncomingMessage): ExperimentAssignment<Variant>;
  /** How often the variant of a request was used, by reason, once per request. No identifiers. */
  stats(): Readonly<Record<AssignmentReason, number>>;
}

/** Units that an experiment remembers as exposed. */
const MAX_SEEN = 100_000;

interface Drawn {
  readonly variant: string;
  readonly reason: AssignmentReason;
  readonly unit: string | undefined;
  isUsed: boolean;
}

export function createExperiment(
  config: ResolvedExperiment,
  segmentsOf: SegmentsOf,
  expose: (exposure: Exposure, req: IncomingMessage) => void,
  stickyUnits?: StickyUnits,
  maxSeen = MAX_SEEN,
): Experiment {
  const { name, salt } = config;
  const seen = new SeenUnits(maxSeen);
  // Segments may be renewed while a request is handled; its variant must not change.
  const drawnFor = new WeakMap<IncomingMessage, Drawn>();
  const uses: Record<AssignmentReason, number> = {
    assigned: 0,
    'not-in-audience': 0,
    unknown: 0,
    'no-unit': 0,
    excluded: 0,
    holdout: 0,
    preview: 0,
  };

  function drawnOf(req: IncomingMessage): Drawn {
    let drawn = drawnFor.get(req);
    if (drawn === undefined) {
      drawn = draw(config, req, segmentsOf(req), stickyUnits);
      drawnFor.set(req, drawn);
    }
    return drawn;
  }

  function variantOf(req: IncomingMessage): string {
    const drawn = drawnOf(req);
    if (drawn.isUsed) return drawn.variant;
    drawn.isUsed = true;
    const { variant, reason, unit } = drawn;
    uses[reason] += 1;
    const isInIt = reason === 'assigned' || reason === 'holdout';
    // Nobody has seen a page that a browser fetched ahead.
    if (isInIt && unit !== undefined && !isPrefetch(req.headers) && seen.add(pseudonymNumber(salt, unit))) {
      expose({ experiment: name, variant, reason }, req);
    }
    return variant;
  }

  return {
    name,
    variantOf,
    assignmentOf(req) {
      const { variant, reason, unit } = drawnOf(req);
      return { variant, reason, isExposed: unit !== undefined && seen.has(pseudonymNumber(salt, unit)) };
    },
    route(handlers) {
      const handlersOf = checkedRoutes(config, handlers);
      const router: Guard = (req, res, next) => {
        let chosen: readonly AnyRequestHandler[];
        try {
          chosen = handlersOf.get(variantOf(req)) as readonly AnyRequestHandler[];
        } catch (error) {
          next(toError(error));
          return;
        }
        return runInOrder(chosen, req, res, next);
      };
      return router;
    },
    stats: () => ({ ...uses }),
  };
}

function draw(
  { name, salt, variants, audience, unit: kind, holdout }: ResolvedExperiment,
  req: IncomingMessage,
  segments: VisitorSegments,
  stickyUnits: StickyUnits | undefined,
): Drawn {
  const control = variants[0]?.variant as string;
  // Looked at first, and always: whatever the variant, the response depends on the visitor from now on.
  const known = unitOf(segments.visitor, kind);
  const notInIt = (reason: AssignmentReason, variant = control): Drawn => {
    return { variant, reason, unit: undefined, isUsed: false };
  };
  if (segments.status === 'preview') {
    const wanted = VisitorSegments.previewOf(segments)?.variants[name];
    return notInIt('preview', variants.find(({ variant }) => variant === wanted)?.variant);
  }
  if (segments.status === 'excluded') {
    // A refusal is about the person, whatever they are known by.
    const hasRefused = segments.reason === 'no-consent' || segments.reason === 'opted-out';
    if (hasRefused) stickyUnits?.end(req, segments);
    return notInIt('excluded');
  }
  const ofCookie = kind === 'visitor' ? stickyUnits : undefined;
  if (audience !== undefined) {
    if (known === undefined) return notInIt('no-unit');
    if (!segments.isKnown) return notInIt(segments.status === 'unknown' ? 'unknown' : 'no-unit');
    const { match, refs } = audience;
    const isIn = match === 'all' ? segments.hasAll(...refs) : segments.hasAny(...refs);
    if (!isIn) return notInIt('not-in-audience');
  }
  const unit = audience === undefined && ofCookie !== undefined ? ofCookie.unitOf(req, segments) : known;
  if (unit === undefined) return notInIt('no-unit');
  if (holdout !== undefined) {
    // By the same unit in all experiments that share it, with an audience or without.
    const heldOutBy = ofCookie === undefined ? unit : ofCookie.unitOf(req, segments);
    if (heldOutBy === undefined) return notInIt('no-unit');
    if (isHeldOut(holdout.name, holdout.percent, heldOutBy)) {
      return { variant: control, reason: 'holdout', unit, isUsed: false };
    }
  }
  return { variant: variantFor(salt, variants, unit), reason: 'assigned', unit, isUsed: false };
}

function unitOf(visitor: VisitorSegments['visitor'], kind: ResolvedExperiment['unit']): string | undefined {
  if (kind === 'visitor') return visitor.ecid ?? visitor.uuid;
  const customer = visitor.customerIds?.find(({ authState }) => authState === 'authenticated');
  if (customer === undefined) return undefined;
  const { id, dataSourceId, integrationCode } = customer;
  return `${dataSourceId ?? JSON.stringify(integrationCode)}:${id}`;
}

function checkedRoutes(
  { variants }: ResolvedExperiment,
  handlers: unknown,
): ReadonlyMap<string, readonly AnyRequestHandler[]> {
  const names = variants.map(({ variant }) => variant);
  assert(isRecord(handlers), 'handlers', `an object with a handler for each of ${names.join(', ')}`, handlers);
  for (const key of Object.keys(handlers)) assert(names.includes(key), 'handlers', `for ${names.join(', ')} only`, key);
  return new Map(names.map((name) => [name, checkedHandlers(`handlers.${name}`, handlers[name])]));
}
