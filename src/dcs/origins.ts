/**
 * Owns: which server is called about a visitor: that of their region, or the default one in its place. Next: dcs-calls.ts.
 */
import type { Call } from './flow/call';
import type { BreakerState } from './flow/circuit-breaker';
import type { Clock } from './flow/clock';
import { OriginGate, type OriginGateConfig, type OriginStats } from './flow/origin-gate';
import type { DcsFailure } from './protocol/dcs-error';
import type { Regions } from './protocol/regions';

/** A server, and the gate that calls to it go through. */
export interface Origin {
  readonly url: URL;
  readonly gate: OriginGate;
}

export interface OriginsConfig extends OriginGateConfig {
  readonly regions: Regions;
  /** Whether the default origin is called about visitors of a region whose breaker is open. */
  readonly failover: boolean;
}

/** What becomes of the calls at the gates. */
export interface OriginsHost {
  /** A lookup begins. */
  start(call: Call, origin: Origin): void;
  /** A lookup that was queued does not begin here. */
  turnAway(call: Call, origin: Origin, why: DcsFailure): void;
  /** A gate has opened or closed: events may be waiting for that. */
  changed(): void;
  /** For those who watch. */
  breakerChanged(origin: Origin, state: BreakerState, previous: BreakerState): void;
}

export class Origins {
  readonly #config: OriginsConfig;
  readonly #clock: Clock;
  readonly #host: OriginsHost;
  readonly #byName = new Map<string, Origin>();
  /** The same, without writing out the origin: that takes longer than all the rest of finding it. */
  readonly #byUrl = new WeakMap<URL, Origin>();

  constructor(config: OriginsConfig, clock: Clock, host: OriginsHost) {
    this.#config = config;
    this.#clock = clock;
    this.#host = host;
  }

  /** Those that have been called, or were to be. */
  get all(): Iterable<Origin> {
    return this.#byName.values();
  }

  stats(): Readonly<Record<string, OriginStats>> {
    return Object.fromEntries([...this.#byName].map(([name, { gate }]) => [name, gate.stats()]));
  }

  /** Where a lookup in this region goes now: to the default origin only if that would take it. */
  forLookup(region: number | undefined): Origin {
    const home = this.homeOf(region);
    const standIn = this.standInFor(home);
    return standIn.gate.unavailable === undefined ? standIn : home;
  }

  /** Where an event goes now. A full queue turns away lookups; an event waits for room, as it does everywhere. */
  forEvent(region: number | undefined): Origin {
    const home = this.homeOf(region);
    const standIn = this.standInFor(home);
    return standIn.gate.closedBecause === undefined ? standIn : home;
  }

  /** The origin of a region. */
  homeOf(region: number | undefined): Origin {
    return this.#originAt(this.#config.regions.originOf(region));
  }

  /**
   * The default origin, while the region's breaker lets nobody through: the DCS of any region answers for any visitor, only
   * more slowly. Otherwise the region's own.
   */
  standInFor(home: Origin): Origin {
    if (!this.#config.failover || home.gate.closedBecause?.reason !== 'circuit-open') return home;
    return this.homeOf(undefined);
  }

  /** The region that an origin is called for; `undefined` for the default origin, and where it is several. */
  regionOf({ url }: Origin): number | undefined {
    const served = this.#config.regions.entries().filter(([, origin]) => origin.origin === url.origin);
    return served.length === 1 ? served[0]?.[0] : undefined;
  }

  #originAt(url: URL): Origin {
    const present = this.#byUrl.get(url) ?? this.#byName.get(url.origin);
    if (present !== undefined) {
      this.#byUrl.set(url, present);
      return present;
    }
    const origin: Origin = {
      url,
      gate: new OriginGate(this.#config, this.#clock, {
        start: (call) => this.#host.start(call, origin),
        turnAway: (call, why) => this.#host.turnAway(call, origin, why),
        changed: () => this.#host.changed(),
        breakerChanged: (state, previous) => this.#host.breakerChanged(origin, state, previous),
      }),
    };
    this.#byName.set(url.origin, origin);
    this.#byUrl.set(url, origin);
    return origin;
  }
}
