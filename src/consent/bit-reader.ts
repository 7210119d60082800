/** Owns: reading the base64url strings of the IAB bit by bit. Next: tcf.ts and gpp.ts. */
import { Base64Url, IntEncoder } from '@iabtechlabtcf/core';

/** Bits with a read position. Reading past their end throws, as does text that is not base64url. */
export class BitReader {
  at = 0;
  readonly #bits: string;

  constructor(base64url: string) {
    this.#bits = Base64Url.decode(base64url);
  }

  /** The next bits, as zeros and ones. */
  take(count: number): string {
    const start = this.at;
    this.at += count;
    if (this.at > this.#bits.length) throw new RangeError('past the end');
    return this.#bits.slice(start, this.at);
  }

  int(count: number): number {
    return IntEncoder.decode(this.take(count), count);
  }

  /** An integer from 1 in Fibonacci coding, which ends with `11`. */
  fibonacci(): number {
    let value = 0;
    let [term, next] = [1, 2];
    for (let wasOne = false; ; ) {
      const isOne = this.take(1) === '1';
      if (isOne && wasOne) return value;
      if (isOne) value += term;
      wasOne = isOne;
      [term, next] = [next, term + next];
    }
  }
}
