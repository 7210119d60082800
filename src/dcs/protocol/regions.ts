/**
 * Owns: where the Data Collection Servers are. A visitor's profile lives in one region; any other answers too, but
 * more slowly and perhaps without the latest of it (Audience Manager docs, "DCS region IDs, locations and host names").
 */

/** Region id to origin. 1, 2, 5 and 10 are not in use. */
export const REGIONAL_ORIGINS: Readonly<Record<number, string>> = {
  3: 'https://apse.demdex.net', // Singapore
  4: 'https://sae.demdex.net', // Sao Paulo
  6: 'https://irl1.demdex.net', // Dublin
  7: 'https://use.demdex.net', // Virginia
  8: 'https://apse2.demdex.net', // Sydney
  9: 'https://usw2.demdex.net', // Oregon
  11: 'https://tyo3.demdex.net', // Tokyo
  12: 'https://ind1.demdex.net', // India
};

/** Which origin to ask for a visitor: that of their region, else the default, which finds the nearest by itself. */
export class Regions {
  readonly #origins: ReadonlyMap<number, URL>;
  readonly #defaultOrigin: URL;

  constructor(origins: ReadonlyMap<number, URL>, defaultOrigin: URL) {
    this.#origins = origins;
    this.#defaultOrigin = defaultOrigin;
  }

  /** Whether there is a data centre of this number. */
  has(region: number): boolean {
    return this.#origins.has(region);
  }

  /** All regions with their origins. */
  entries(): (readonly [region: number, origin: URL])[] {
    return [...this.#origins];
  }

  originOf(region: number | undefined): URL {
    return (region === undefined ? undefined : this.#origins.get(region)) ?? this.#defaultOrigin;
  }
}
