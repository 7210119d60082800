/**
 * Owns: which variant a unit gets. A pure function of names, weights and unit: nothing is stored, and every process and every
 * language that follows docs/experiments.md gets the same result. Next: experiment.ts.
 */
import { hash } from 'node:crypto';

/** A variant, with what its share is drawn by. */
export interface WeightedVariant<Variant extends string = string> {
  readonly variant: Variant;
  readonly weight: number;
}

/** What a draw for a unit comes to. */
export interface Drawn<Result> {
  readonly result: Result;
  /** Stands for the unit where its id must not be kept: 52 bits that are the same for each draw of the unit, and only for it. */
  readonly unitNumber: number;
}

/**
 * Weighted rendezvous: each variant draws a number for the unit, and the smallest one wins. The draw of a variant depends on no
 * other variant, so a changed weight only moves units to or from that variant.
 */
export function variantDraw<Variant extends string>(
  salt: string,
  variants: readonly WeightedVariant<Variant>[],
): (unit: string) => Drawn<Variant> {
  const drawing = variants
    .filter(({ weight }) => weight > 0)
    .map(({ variant, weight }) => ({ variant, weight, prefix: prefixOf('variant', salt, variant) }));
  return (unit) => {
    let result = drawing[0]?.variant as Variant;
    let smallest = Number.POSITIVE_INFINITY;
    let unitNumber = 0;
    for (const { variant, weight, prefix } of drawing) {
      const bits = bitsOf(prefix, unit);
      // Exponentially distributed with this rate, hence smallest with a probability in proportion to the weight.
      const drawn = -Math.log(fractionOf(bits)) / weight;
      if (drawn < smallest) {
        smallest = drawn;
        result = variant;
        unitNumber = bits;
      }
    }
    return { result, unitNumber };
  };
}

/** Whether a unit belongs to the share that a holdout keeps out of its experiments. */
export function holdoutDraw(holdout: string, percent: number): (unit: string) => Drawn<boolean> {
  const prefix = prefixOf('holdout', holdout, '');
  return (unit) => {
    const unitNumber = bitsOf(prefix, unit);
    return { result: fractionOf(unitNumber) * 100 < percent, unitNumber };
  };
}

/** Names have no line breaks, so no two inputs are the same text. */
function prefixOf(purpose: string, name: string, variant: string): string {
  return `${purpose}\n${name}\n${variant}\n`;
}

/** Uniform between 0 and 1, both excluded. */
function fractionOf(bits: number): number {
  return (bits + 0.5) / 2 ** 52;
}

/** The first 52 bits of SHA-256. */
function bitsOf(prefix: string, unit: string): number {
  // A character for each byte: in this form the result is taken over from OpenSSL in the least time.
  const bytes = hash('sha256', prefix + unit, 'binary');
  const high = (bytes.charCodeAt(0) << 16) | (bytes.charCodeAt(1) << 8) | bytes.charCodeAt(2);
  const low =
    (bytes.charCodeAt(3) << 20) | (bytes.charCodeAt(4) << 12) | (bytes.charCodeAt(5) << 4) | (bytes.charCodeAt(6) >> 4);
  return high * 2 ** 28 + low;
}
