/**
 * Owns: what was worked out for texts that come again and again, such as user agents and consent strings. They are found by
 * some of their characters and compared whole, because a `Map` hashes every character of every request's new string, which
 * takes longer than all the rest of finding it.
 */
import { detachedString } from './detached-string';

const BUCKETS = 256;
/** Texts that agree in the characters that are looked at, such as two versions of a browser. */
const BUCKET_SIZE = 8;
/** About so many characters are looked at. */
const SAMPLES = 12;

/** A bounded store: of the texts in one bucket, those that were added last are kept. */
export class KnownTexts<V> {
  readonly #texts: (string | undefined)[] = new Array(BUCKETS * BUCKET_SIZE).fill(undefined);
  readonly #values: (V | undefined)[] = new Array(BUCKETS * BUCKET_SIZE).fill(undefined);
  /** Where the next text of each bucket goes. */
  readonly #next = new Uint8Array(BUCKETS);

  /** Of a text, or of a range within one. */
  get(text: string, start = 0, end = text.length): V | undefined {
    const length = end - start;
    const first = bucketOf(text, start, length) * BUCKET_SIZE;
    for (let at = first; at < first + BUCKET_SIZE; at++) {
      const known = this.#texts[at];
      // Comparing slices takes half as long as startsWith().
      if (known?.length === length && known === text.slice(start, end)) return this.#values[at];
    }
    return undefined;
  }

  /** @param text not stored yet. One that is not Latin-1 is not stored. */
  add(text: string, value: V): void {
    const detached = detachedString(text);
    if (detached !== text) return;
    const bucket = bucketOf(text, 0, text.length);
    const at = bucket * BUCKET_SIZE + (this.#next[bucket] as number);
    this.#texts[at] = detached;
    this.#values[at] = value;
    this.#next[bucket] = ((this.#next[bucket] as number) + 1) % BUCKET_SIZE;
  }
}

/** By the length and by characters at even distances. */
function bucketOf(text: string, start: number, length: number): number {
  const step = Math.ceil(length / SAMPLES) || 1;
  let hash = length;
  for (let at = start + length - 1; at >= start; at -= step) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (BUCKETS - 1);
}
