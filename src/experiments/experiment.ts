/** Owns: an experiment: which variant a request gets and why, and telling that it was used. Next: experiments.ts. */
import type { IncomingMessage } from 'node:http';
import { assert, isRecord } from '../option-checks';
import { isPrefetch } from '../request/prefetch';
import type { SegmentsOf } from '../routing/request-segments';
import type { Guard } from '../routing/require-segment';
import { checkedHandlers, type SegmentHandlers, type SegmentRouter } from '../routing/route-by-segment';
import { type AnyRequestHandler, runInOrder, toError } from '../routing/run-handler';
import { VisitorSegments } from '../segments/visitor-segments';
import { holdoutDraw, variantDraw } from './allocation';
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

/** What a request gets, for as long as it is handled. */
interface Assigned {
  readonly variant: string;
  readonly reason: AssignmentReason;
  /** Stands for the unit; `undefined` for who takes part in nothing. */
  readonly unitNumber: number | undefined;
  isUsed: boolean;
}

export function createExperiment(
  config: ResolvedExperiment,
  segmentsOf: SegmentsOf,
  expose: (exposure: Exposure, req: IncomingMessage) => void,
  stickyUnits?: StickyUnits,
  maxSeen = MAX_SEEN,
): Experiment {
  const { name } = config;
  const assign = assignmentBy(config, stickyUnits);
  const seen = new SeenUnits(maxSeen);
  const uses: Record<AssignmentReason, number> = {
    assigned: 0,
    'not-in-audience': 0,
    unknown: 0,
    'no-unit': 0,
    excluded: 0,
    holdout: 0,
    preview: 0,
  };

  function assignedTo(req: IncomingMessage): Assigned {
    const segments = segmentsOf(req);
    // Segments may be renewed while a request is handled; its variant must not change.
    const notes = VisitorSegments.readingOf(segments);
    let assigned = notes?.noteOf(config) as Assigned | undefined;
    if (assigned === undefined) {
      assigned = assign(req, segments);
      notes?.note(config, assigned);
    }
    return assigned;
  }

  function variantOf(req: IncomingMessage): string {
    const assigned = assignedTo(req);
    const { variant, reason, unitNumber, isUsed } = assigned;
    if (isUsed) return variant;
    assigned.isUsed = true;
    uses[reason] += 1;
    if (unitNumber === undefined || seen.has(unitNumber)) return variant;
    // Nobody has seen a page that a browser fetched ahead.
    if (isPrefetch(req.headers)) return variant;
    seen.add(unitNumber);
    expose({ experiment: name, variant, reason: reason as Exposure['reason'] }, req);
    return variant;
  }

  return {
    name,
    variantOf,
    assignmentOf(req) {
      const { variant, reason, unitNumber } = assignedTo(req);
      return { variant, reason, isExposed: unitNumber !== undefined && seen.has(unitNumber) };
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

/** What a request with these segments gets. */
function assignmentBy(
  config: ResolvedExperiment,
  stickyUnits: StickyUnits | undefined,
): (req: IncomingMessage, segments: VisitorSegments) => Assigned {
  const { name, salt, variants, audience, unit: kind, holdout } = config;
  const control = variants[0]?.variant as string;
  const drawVariant = variantDraw(salt, variants);
  const drawHoldout = holdout && holdoutDraw(holdout.name, holdout.percent);
  const cookieUnits = kind === 'visitor' ? stickyUnits : undefined;
  const notInIt = (reason: AssignmentReason, variant = control): Assigned => {
    return { variant, reason, unitNumber: undefined, isUsed: false };
  };

  return (req, segments) => {
    // Looked at first, and always: whatever the variant, the response depends on the visitor from now on.
    const known = unitOf(VisitorSegments.readVisitorOf(segments), kind);
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
    if (audience !== undefined) {
      if (known === undefined) return notInIt('no-unit');
      if (!segments.isKnown) return notInIt(segments.status === 'unknown' ? 'unknown' : 'no-unit');
      const { match, refs } = audience;
      const isIn = match === 'all' ? segments.hasAll(...refs) : segments.hasAny(...refs);
      if (!isIn) return notInIt('not-in-audience');
    }
    const unit = audience === undefined && cookieUnits !== undefined ? cookieUnits.unitOf(req, segments) : known;
    if (unit === undefined) return notInIt('no-unit');
    if (drawHoldout !== undefined) {
      // By the same unit in all experiments that share it, with an audience or without.
      const sharedUnit = cookieUnits === undefined ? unit : cookieUnits.unitOf(req, segments);
      if (sharedUnit === undefined) return notInIt('no-unit');
      const { result: isHeldOut, unitNumber } = drawHoldout(sharedUnit);
      if (isHeldOut) return { variant: control, reason: 'holdout', unitNumber, isUsed: false };
    }
    const { result: variant, unitNumber } = drawVariant(unit);
    return { variant, reason: 'assigned', unitNumber, isUsed: false };
  };
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
