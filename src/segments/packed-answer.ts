/**
 * Owns: the form in which an answer of the DCS is kept: one string, since there are as many of them as visitors. It holds no
 * time and nothing else of this process, so that it can be stored elsewhere, and its version comes first. Next:
 * visitor-segments.ts, which shows it.
 *
 *     version  kind  region(3)  cookieRegion(3)  lengths of: transactionId(1) ids(3) rest(4)   transactionId  ids  rest
 *
 * Numbers are written to the base of 128. Apart from the ids everything is ASCII, so that searching the whole text for an id
 * finds ids only.
 */
import { base128, base128At } from '../cache/base-128';
import type { Exclusion } from '../dcs/protocol/error-codes';
import { packedId, unpackedIds } from './packed-ids';
import { recordOf, type SegmentSet } from './segment-set';

/** An answer in one string. What follows it in the string is ignored: the cache adds its own stamps. */
export type PackedAnswer = string;

/** What an answer says besides the segments. */
export interface AnswerDetails {
  /** The data centre that answered. */
  readonly region: number | undefined;
  readonly transactionId: string | undefined;
  /** The last region that the visitor's own cookies named: where to ask when they name none. */
  readonly cookieRegion: number | undefined;
}

/** An answer as a plain object. */
export interface AnswerRecord extends SegmentSet, AnswerDetails {
  /** Set instead of segments: the DCS does not serve this visitor. */
  readonly excluded: Exclusion | undefined;
}

const VERSION = 1;
const KIND_AT = 1;
const REGION_AT = 2;
const COOKIE_REGION_AT = 5;
const ID_LENGTH_AT = 8;
const IDS_LENGTH_AT = 9;
const REST_LENGTH_AT = 12;
const HEAD = 16;

/** In the order of their numbers: a new one comes last. */
const EXCLUSIONS: readonly (Exclusion | undefined)[] = [
  undefined,
  'opted-out',
  'no-consent',
  'denylisted',
  'invalid-id',
  'refused',
];

export function packAnswer(answer: AnswerRecord): PackedAnswer {
  const { ids, values, destinations, region, cookieRegion, transactionId = '', excluded } = answer;
  const packedIds = ids.map(packedId).join('');
  const rest = packedValues(values) + (destinations === undefined ? '' : asciiJson(Object.entries(destinations)));
  const parts = [
    base128(VERSION, 1),
    base128(EXCLUSIONS.indexOf(excluded), 1),
    optional(region),
    optional(cookieRegion),
    base128(transactionId.length, 1),
    base128(packedIds.length, 3),
    base128(rest.length, 4),
    transactionId,
    packedIds,
    rest,
  ];
  // Through a buffer, since V8 keeps the parts of a concatenated string.
  return Buffer.from(parts.join(''), 'latin1').toString('latin1');
}

export function unpackAnswer(text: PackedAnswer): AnswerRecord {
  return {
    ids: idsOf(text),
    values: valuesOf(text),
    destinations: destinationsOf(text),
    region: regionOf(text),
    transactionId: transactionIdOf(text),
    cookieRegion: cookieRegionOf(text),
    excluded: exclusionOf(text),
  };
}

/** How much of a text is the answer: what follows it was added by others. */
export function packedLengthOf(text: PackedAnswer): number {
  return restIn(text).end;
}

/** Whether a text that came from elsewhere is an answer, to the last character. */
export function isPackedAnswer(text: string): boolean {
  try {
    return packAnswer(unpackAnswer(text)) === text;
  } catch {
    return false;
  }
}

export function exclusionOf(text: PackedAnswer): Exclusion | undefined {
  return EXCLUSIONS[text.charCodeAt(KIND_AT)];
}

export function regionOf(text: PackedAnswer): number | undefined {
  return optionalAt(text, REGION_AT);
}

export function cookieRegionOf(text: PackedAnswer): number | undefined {
  return optionalAt(text, COOKIE_REGION_AT);
}

/** The same answer, and whatever follows it, with another region of the visitor's cookies. */
export function withCookieRegion(text: PackedAnswer, region: number): PackedAnswer {
  const changed = text.slice(0, COOKIE_REGION_AT) + optional(region) + text.slice(COOKIE_REGION_AT + 3);
  return Buffer.from(changed, 'latin1').toString('latin1');
}

export function transactionIdOf(text: PackedAnswer): string | undefined {
  const length = text.charCodeAt(ID_LENGTH_AT);
  return length > 0 ? text.slice(HEAD, HEAD + length) : undefined;
}

export function idsOf(text: PackedAnswer): string[] {
  const start = HEAD + text.charCodeAt(ID_LENGTH_AT);
  return unpackedIds(text, start, start + base128At(text, IDS_LENGTH_AT, 3));
}

/** @param packed as {@link packedId} writes it */
export function includesId(text: PackedAnswer, packed: string): boolean {
  return text.includes(packed, HEAD);
}

/** A value of a cookie destination, as {@link includesValue} takes it. */
export function packedValue(value: string): string {
  return `${SEPARATOR}${asciiJson(value).slice(1, -1)}${SEPARATOR}`;
}

/** @param packed as {@link packedValue} writes it */
export function unpackedValue(packed: string): string {
  return JSON.parse(`"${packed.slice(SEPARATOR.length, -SEPARATOR.length)}"`) as string;
}

export function includesValue(text: PackedAnswer, packed: string): boolean {
  const { start, end } = restIn(text);
  if (start === end) return false;
  const at = text.indexOf(packed, start);
  // Only the values have separators.
  return at !== -1 && at + packed.length <= end;
}

export function valuesOf(text: PackedAnswer): readonly string[] | undefined {
  const { start, destinationsAt } = restIn(text);
  if (destinationsAt === start) return undefined;
  const values = text.slice(start + 1, destinationsAt - 1).split(SEPARATOR);
  return values.map((value) => JSON.parse(`"${value}"`) as string);
}

export function destinationsOf(text: PackedAnswer): Readonly<Record<string, string>> | undefined {
  const { destinationsAt, end } = restIn(text);
  if (destinationsAt === end) return undefined;
  return recordOf(JSON.parse(text.slice(destinationsAt, end)) as (readonly [string, string])[]);
}

/** Where the values are, between separators, and behind them the destinations. Few answers have any. */
function restIn(text: PackedAnswer): { readonly start: number; readonly destinationsAt: number; readonly end: number } {
  const start = HEAD + text.charCodeAt(ID_LENGTH_AT) + base128At(text, IDS_LENGTH_AT, 3);
  const end = start + base128At(text, REST_LENGTH_AT, 4);
  const destinationsAt = start === end ? end : Math.max(start, text.lastIndexOf(SEPARATOR, end - 1) + 1);
  return { start, destinationsAt, end };
}

function packedValues(values: readonly string[] = []): string {
  if (values.length === 0) return '';
  return `${SEPARATOR}${values.map((value) => asciiJson(value).slice(1, -1)).join(SEPARATOR)}${SEPARATOR}`;
}

/** JSON has no control characters. */
const SEPARATOR = '\0';

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A region, or `undefined` for a number that does not fit and can be none. */
export function regionKept(region: number | undefined): number | undefined {
  return region !== undefined && Number.isInteger(region) && region >= 0 && region < 128 ** 3 - 1 ? region : undefined;
}

/** 0 for none. */
function optional(region: number | undefined): string {
  return base128((regionKept(region) ?? -1) + 1, 3);
}

function optionalAt(text: string, at: number): number | undefined {
  const value = base128At(text, at, 3);
  return value > 0 ? value - 1 : undefined;
}

/** Stands for the answer where there is none. */
export const NO_ANSWER: PackedAnswer = packAnswer({
  ids: [],
  values: undefined,
  destinations: undefined,
  region: undefined,
  transactionId: undefined,
  cookieRegion: undefined,
  excluded: undefined,
});
