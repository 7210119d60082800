/**
 * Owns: the origins of the Data Collection Servers. A visitor's profile is stored in one region; the others answer too, but
 * more slowly and possibly from an older copy (Audience Manager docs, "DCS region IDs, locations and host names").
 */

/** Region id to origin. Ids 1, 2, 5 and 10 are not in use. */
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

/** Maps a visitor's region to the origin to call, or to the default origin, whose DNS name leads to the nearest region. */
export class Regions {
  readonly #origins: ReadonlyMap<number, URL>;
  readonly #defaultOrigin: URL;

  constructor(origins: ReadonlyMap<number, URL>, defaultOrigin: URL) {
    this.#origins = origins;
    this.#defaultOrigin = defaultOrigin;
  }

  /** Whether the region id is known. */
  has(region: number): boolean {
    return this.#origins.has(region);
  }

  /** All regions and their origins, without the default one. */
  entries(): (readonly [region: number, origin: URL])[] {
    return [...this.#origins];
  }

  /** The origin of a region; the default origin for an unknown region or `undefined`. */
  originOf(region: number | undefined): URL {
    return (region === undefined ? undefined : this.#origins.get(region)) ?? this.#defaultOrigin;
  }
}
