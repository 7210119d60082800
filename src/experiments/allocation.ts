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

/**
 * Weighted rendezvous: each variant draws a number for the unit, and the smallest one wins. The draw of a variant depends on no
 * other variant, so a changed weight only moves units to or from that variant.
 */
export function variantFor<Variant extends string>(
  salt: string,
  variants: readonly WeightedVariant<Variant>[],
  unit: string,
): Variant {
  let chosen = variants[0]?.variant as Variant;
  let smallest = Number.POSITIVE_INFINITY;
  for (const { variant, weight } of variants) {
    if (weight === 0) continue;
    // Exponentially distributed with this rate, hence smallest with a probability in proportion to the weight.
    const drawn = -Math.log(fractionOf('variant', salt, variant, unit)) / weight;
    if (drawn < smallest) {
      smallest = drawn;
      chosen = variant;
    }
  }
  return chosen;
}

/** Whether a unit belongs to the share that a holdout keeps out of its experiments. */
export function isHeldOut(holdout: string, percent: number, unit: string): boolean {
  return fractionOf('holdout', holdout, '', unit) * 100 < percent;
}

/** A number that stands for a unit where its id must not be kept. */
export function pseudonymNumber(salt: string, unit: string): number {
  return bitsOf('exposure', salt, '', unit);
}

/** Uniform between 0 and 1, both excluded. */
function fractionOf(purpose: string, name: string, variant: string, unit: string): number {
  return (bitsOf(purpose, name, variant, unit) + 0.5) / 2 ** 52;
}

/** The first 52 bits of SHA-256. Names have no line breaks, so no two inputs are the same text. */
function bitsOf(purpose: string, name: string, variant: string, unit: string): number {
  return Number.parseInt(hash('sha256', `${purpose}\n${name}\n${variant}\n${unit}`).slice(0, 13), 16);
}
