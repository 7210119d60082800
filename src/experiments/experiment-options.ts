/** Owns: the options of an experiment and their checks. An option's JSDoc is its documentation. Next: experiment.ts. */
import { OPTIONS } from '../diagnosis/option-names';
import { AamError } from '../errors';
import { assert, entries, group, isRecord, isText, oneOf } from '../option-checks';
import { type SegmentNames, type SegmentRef, wantedById } from '../segments/segment-refs';
import type { WeightedVariant } from './allocation';

const TAKER = 'experiment()';

/** Who takes part in an experiment: visitors in a segment, in any of several, or in all of them. */
export type ExperimentAudience<Name extends string = string> =
  | SegmentRef<Name>
  | { readonly any: readonly SegmentRef<Name>[] }
  | { readonly all: readonly SegmentRef<Name>[] };

/** Whom an experiment assigns. */
export type ExperimentUnit = 'visitor' | 'customer';

/** A share of the units that takes part in none of the experiments that name it. */
export interface ExperimentHoldout {
  readonly name: string;
  /** From 0 to 100, the same in all experiments with this holdout. */
  readonly percent: number;
}

/** Options of `aam.experiment()`. */
export interface ExperimentOptions<Name extends string = string, Variant extends string = string> {
  /** Defined once per instance. Reported with each exposure. */
  readonly name: string;
  /** At least two variants with their weights, in any unit. The first is the control. A variant with weight 0 is not used. */
  readonly variants: Readonly<Record<Variant, number>>;
  /** Who takes part. @default everybody */
  readonly audience?: ExperimentAudience<Name> | undefined;
  /** What the assignment is drawn by: another salt draws all units anew. @default the name */
  readonly salt?: string | undefined;
  /**
   * `'visitor'`: the ECID, else the UUID. `'customer'`: the first customer id with the state `authenticated`, so that a phone and
   * a laptop agree after the log-in.
   * @default 'visitor'
   */
  readonly unit?: ExperimentUnit | undefined;
  /** A share that is kept out of several experiments. @default nobody */
  readonly holdout?: ExperimentHoldout | undefined;
}

/** The options, checked, with their defaults. */
export interface ResolvedExperiment {
  readonly name: string;
  readonly salt: string;
  readonly variants: readonly WeightedVariant[];
  readonly audience: { readonly match: 'any' | 'all'; readonly refs: readonly SegmentRef[] } | undefined;
  readonly unit: ExperimentUnit;
  readonly holdout: ExperimentHoldout | undefined;
}

/** @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_UNKNOWN_SEGMENT` */
export function resolveExperiment(options: unknown, names: SegmentNames): ResolvedExperiment {
  const given = group<ExperimentOptions>('experiment', options, OPTIONS[TAKER], TAKER);
  const { name, salt = name, audience, holdout } = given;
  checkName('experiment.name', name);
  checkName('experiment.salt', salt);
  return {
    name,
    salt,
    variants: variantsOf(given.variants),
    audience: audience === undefined ? undefined : audienceOf(audience, names),
    unit: oneOf<ExperimentUnit>('experiment.unit', given.unit, ['visitor', 'customer'], 'visitor'),
    holdout: holdout === undefined ? undefined : holdoutOf(holdout),
  };
}

function variantsOf(given: unknown): readonly WeightedVariant[] {
  const path = 'experiment.variants';
  const rule = 'an object of at least two variants and their weights';
  assert(isRecord(given), path, rule, given);
  const variants = entries(path, given).map(([variant, weight]) => {
    checkName(`${path}: a name`, variant);
    // JavaScript puts such keys before all others, so that another variant would be the control.
    assert(!/^\d+$/.test(variant), `${path}: a name`, 'more than digits', variant);
    const isWeight = typeof weight === 'number' && Number.isFinite(weight) && weight >= 0;
    assert(isWeight, `${path}.${variant}`, 'a number of at least 0', weight);
    return { variant, weight };
  });
  assert(variants.length >= 2, path, rule, given);
  assert(
    variants.some(({ weight }) => weight > 0),
    path,
    'given at least one weight above 0',
    given,
  );
  return variants;
}

function audienceOf(given: unknown, names: SegmentNames): NonNullable<ResolvedExperiment['audience']> {
  const path = 'experiment.audience';
  let match: 'any' | 'all' = 'any';
  let refs: unknown = [given];
  if (isRecord(given) && wantedById(given) === undefined) {
    const lists = group<{ any?: unknown; all?: unknown }>(path, given, OPTIONS[TAKER].audience, TAKER);
    assert((lists.any === undefined) !== (lists.all === undefined), path, 'a segment, { any } or { all }', given);
    match = lists.all === undefined ? 'any' : 'all';
    refs = lists[match];
  }
  assert(Array.isArray(refs) && refs.length > 0, path, 'given at least one segment', refs);
  // A copy: changing the caller's list later must not change the audience.
  const list = [...(refs as SegmentRef[])];
  for (const ref of list) {
    const isKnown = names.resolve(ref) !== undefined;
    // In production too: an experiment for nobody would go unnoticed for weeks.
    if (!isKnown)
      throw new AamError('ERR_AAM_UNKNOWN_SEGMENT', `${path} has a segment that is not in the option 'segments'`);
  }
  return { match, refs: list };
}

function holdoutOf(given: unknown): ExperimentHoldout {
  const { name, percent } = group<ExperimentHoldout>('experiment.holdout', given, OPTIONS[TAKER].holdout, TAKER);
  checkName('experiment.holdout.name', name);
  const isPercent = typeof percent === 'number' && percent >= 0 && percent <= 100;
  assert(isPercent, 'experiment.holdout.percent', 'a number from 0 to 100', percent);
  return { name, percent };
}

function checkName(path: string, given: unknown): asserts given is string {
  const isName = isText(given) && given.length <= 100 && !/[\p{Cc}\p{Cs}]/u.test(given);
  assert(isName, path, 'a string of 1 to 100 characters without control characters', given);
}
