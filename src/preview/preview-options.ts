/** Owns: the options of `previewUrl()` and their checks. An option's JSDoc is its documentation. Next: preview-token.ts. */
import { OPTIONS } from '../diagnosis/option-names';
import { AamError } from '../errors';
import { quoted } from '../handed-over/showing';
import { assert, entries, group, integer, isRecord } from '../option-checks';
import { canonicalId, type SegmentNames, type SegmentRef } from '../segments/segment-refs';

const TAKER = 'previewUrl()';

/** Options of `aam.previewUrl()`. */
export interface PreviewLinkOptions<Name extends string = string> {
  /** The segments that the preview's visitor is in: names, ids, or `{ value }`. @default none */
  readonly segments?: readonly SegmentRef<Name>[] | undefined;
  /**
   * Variants by the name of their experiment, which must have been defined. In other experiments it is the control.
   * @default none
   */
  readonly variants?: Readonly<Record<string, string>> | undefined;
  /** How long the link and the preview are valid, in milliseconds, from 1 000 to 2 592 000 000 (30 days). @default 3600000 */
  readonly expiresInMs?: number | undefined;
}

/** The options, checked, in the form in which they are signed. */
export interface ResolvedPreviewLink {
  readonly segments: readonly PreviewedSegment[];
  readonly variants: readonly (readonly [experiment: string, variant: string])[];
  readonly expiresInMs: number;
}

/** A name, an id in decimal, or a value. */
export type PreviewedSegment = string | { readonly value: string };

/** The variants of an experiment; `undefined` if there is none by this name. */
export type VariantsOf = (experiment: string) => readonly string[] | undefined;

const HOUR_MS = 3_600_000;
const MAX_MS = 30 * 24 * HOUR_MS;

/** @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_UNKNOWN_SEGMENT` */
export function resolvePreviewLink(options: unknown, names: SegmentNames, variantsOf: VariantsOf): ResolvedPreviewLink {
  const {
    segments = [],
    variants = {},
    expiresInMs,
  } = group<PreviewLinkOptions>('preview', options, OPTIONS[TAKER], TAKER);
  assert(Array.isArray(segments), 'preview.segments', 'an array of segments', segments);
  assert(isRecord(variants), 'preview.variants', 'an object of experiments and their variants', variants);
  return {
    segments: segments.map((ref) => segmentOf(ref, names)),
    variants: entries('preview.variants', variants).map((entry) => variantOf(entry, variantsOf)),
    expiresInMs: integer('preview.expiresInMs', expiresInMs, 1_000, MAX_MS, HOUR_MS),
  };
}

function segmentOf(ref: unknown, names: SegmentNames): PreviewedSegment {
  if (names.find(ref) === undefined) {
    const shown = typeof ref === 'string' ? quoted(ref) : typeof ref;
    // In production too: whoever follows the link would see another page than it says.
    throw new AamError(
      'ERR_AAM_UNKNOWN_SEGMENT',
      `preview.segments has ${shown}, which is not in the option 'segments'`,
    );
  }
  if (typeof ref === 'object') return { value: (ref as { readonly value: string }).value };
  return canonicalId(ref) ?? (ref as string);
}

function variantOf([experiment, variant]: readonly [string, unknown], variantsOf: VariantsOf): [string, string] {
  const variants = variantsOf(experiment);
  assert(variants !== undefined, 'preview.variants', 'for experiments that have been defined', experiment);
  const isVariant = typeof variant === 'string' && variants.includes(variant);
  assert(isVariant, `preview.variants.${experiment}`, `one of ${variants.join(', ')}`, variant);
  return [experiment, variant];
}
