/** Owns: which units have been exposed. Bounded: the oldest are forgotten first. Holds numbers, no ids. */
export class SeenUnits {
  readonly #max: number;
  readonly #seen = new Set<number>();
  /** A ring, since a Set that loses its first entry again and again gets slow. */
  readonly #order: number[] = [];
  #oldest = 0;

  constructor(max: number) {
    this.#max = max;
  }

  has(unit: number): boolean {
    return this.#seen.has(unit);
  }

  /** Whether the unit is new. */
  add(unit: number): boolean {
    if (this.#seen.has(unit)) return false;
    const oldest = this.#order[this.#oldest];
    if (oldest !== undefined) this.#seen.delete(oldest);
    this.#order[this.#oldest] = unit;
    this.#oldest = (this.#oldest + 1) % this.#max;
    this.#seen.add(unit);
    return true;
  }
}
