/**
 * Owns: what the cache notes about a text, in characters at its end: one object less for each visitor. Numbers are written to
 * the base of 128, so that they never widen the text. Next: answer-cache.ts.
 *
 *     text  variant  length of the variant and isFinal(2)  ttlMs(5)  validAt(5)  storedAtMs(6)  ms since first seen(2)
 */
import { base128, base128At } from './base-128';

/** What is noted about a text. Numbers are whole. */
export interface Stamps {
  /** What the question contained besides the visitor; answers to different variants are kept apart. In ASCII. */
  readonly variant: string;
  /** Whether it answers every variant of the question, stays when the visitor withdraws consent, and ends with its ttl. */
  readonly isFinal: boolean;
  /** How long it stays fresh. */
  readonly ttlMs: number;
  /** The generation in which it was up to date. */
  readonly validAt: number;
}

/** Those that the cache sets itself, by its clock. */
export interface StoredStamps extends Stamps {
  readonly storedAtMs: number;
  /** When the visitor's first text was stored, if that was within the last 16 seconds, else a later time. */
  readonly firstSeenMs: number;
}

const MAX_VARIANT_LENGTH = 128 ** 2 / 2 - 1;
/** An answer of another process may be older than this process and its clock. */
const BEFORE_THE_CLOCK_MS = 2 ** 33;
/** Only whether a visitor has been known for seconds matters. */
const MAX_SINCE_FIRST_SEEN_MS = 128 ** 2 - 1;
// Places, counted from the end.
const SINCE_FIRST_SEEN = 2;
const STORED_AT = 8;
const VALID_AT = 13;
const TTL = 18;
const VARIANT_LENGTH = 20;

/** @param text in Latin-1 */
export function stamped(text: string, stamps: StoredStamps): string {
  const variant = stamps.variant.slice(0, MAX_VARIANT_LENGTH);
  const parts = [
    text,
    variant,
    base128(variant.length * 2 + (stamps.isFinal ? 1 : 0), 2),
    base128(stamps.ttlMs, 5),
    base128(stamps.validAt, 5),
    base128(stamps.storedAtMs + BEFORE_THE_CLOCK_MS, 6),
    base128(Math.max(0, Math.min(stamps.storedAtMs - stamps.firstSeenMs, MAX_SINCE_FIRST_SEEN_MS)), 2),
  ];
  // Through a buffer, since V8 keeps the parts of a concatenated string.
  return Buffer.from(parts.join(''), 'latin1').toString('latin1');
}

/** The same text and stamps, up to date as of a later generation. */
export function withValidAt(entry: string, validAt: number): string {
  const at = entry.length - VALID_AT;
  const changed = entry.slice(0, at) + base128(validAt, 5) + entry.slice(at + 5);
  return Buffer.from(changed, 'latin1').toString('latin1');
}

export function firstSeenMsOf(entry: string): number {
  return storedAtMsOf(entry) - base128At(entry, entry.length - SINCE_FIRST_SEEN, 2);
}

export function storedAtMsOf(entry: string): number {
  return base128At(entry, entry.length - STORED_AT, 6) - BEFORE_THE_CLOCK_MS;
}

export function validAtOf(entry: string): number {
  return base128At(entry, entry.length - VALID_AT, 5);
}

export function ttlMsOf(entry: string): number {
  return base128At(entry, entry.length - TTL, 5);
}

export function isFinal(entry: string): boolean {
  return base128At(entry, entry.length - VARIANT_LENGTH, 2) % 2 === 1;
}

export function isOfVariant(entry: string, variant: string): boolean {
  const end = entry.length - VARIANT_LENGTH;
  return Math.floor(base128At(entry, end, 2) / 2) === variant.length && entry.startsWith(variant, end - variant.length);
}
