/** Several instances on one store, each behind a switch of its own: a fleet in one process. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AamSegmentsOptions } from 'express-aam-segments';
import type { SharedStore, StoreListener, StoreSubscription } from '../../src/shared-tier/shared-store';
import { createMemoryStore, type MemoryStore } from '../../src/testing/memory-store';
import { closeSites, cookieOf, createSite, ECID, type Site } from '../helpers/site';

export const KEY_SECRET = 'a secret of at least 32 characters';
export { closeSites, cookieOf, ECID };

/** One process's way to the store: it can be cut, and what goes over it is counted. */
export class Line implements SharedStore {
  readonly timeoutMs: number;
  isReady = true;
  /** Nothing is answered any more, as by a server that is stopped. */
  isStuck = false;
  /** Messages do not arrive, and nobody says so. */
  isDeaf = false;
  /** The commands so far. */
  readonly commands: string[] = [];
  readonly #store: SharedStore;
  readonly #listeners = new Set<StoreListener>();

  constructor(store: SharedStore, timeoutMs = 1_000) {
    this.#store = store;
    this.timeoutMs = timeoutMs;
  }

  /** The subscriber's connection breaks, and comes back when the test says so. */
  loseMessages(): () => void {
    this.isDeaf = true;
    for (const each of this.#listeners) each.lost();
    return () => {
      this.isDeaf = false;
      for (const each of this.#listeners) each.listening();
    };
  }

  #run<T>(name: string, command: () => Promise<T>): Promise<T> {
    this.commands.push(name);
    if (this.isStuck) return new Promise<T>(() => {});
    return this.isReady ? command() : Promise.reject(new Error('disconnected'));
  }

  read: SharedStore['read'] = (...args) => this.#run('read', () => this.#store.read(...args));
  take: SharedStore['take'] = (...args) => this.#run('take', () => this.#store.take(...args));
  end: SharedStore['end'] = (...args) => this.#run('end', () => this.#store.end(...args));
  invalidate: SharedStore['invalidate'] = (...args) => this.#run('invalidate', () => this.#store.invalidate(...args));
  refill: SharedStore['refill'] = (...args) => this.#run('refill', () => this.#store.refill(...args));
  beat: SharedStore['beat'] = (...args) => this.#run('beat', () => this.#store.beat(...args));
  failureOf: NonNullable<SharedStore['failureOf']> = (error) =>
    (error as Error).message === 'disconnected' ? 'disconnected' : 'other';

  subscribe(channels: readonly string[], listener: StoreListener): StoreSubscription {
    this.#listeners.add(listener);
    const subscription = this.#store.subscribe(channels, {
      ...listener,
      message: (text) => this.isDeaf || listener.message(text),
      listening: () => this.isDeaf || listener.listening(),
      lost: () => listener.lost(),
    });
    return {
      close: async () => {
        this.#listeners.delete(listener);
        await subscription.close();
      },
    };
  }
}

export interface Member extends Site {
  readonly line: Line;
}

export interface Fleet {
  readonly store: MemoryStore;
  /** For time that passes in the store alone. */
  readonly storeClock: { aheadMs: number };
  readonly simulator: Site['simulator'];
  readonly members: readonly Member[];
  /** Calls to the DCS so far. */
  calls(): number;
}

/** Members that share a simulator and a store, and have heard each other. */
export async function createFleet(
  size: number,
  options: Partial<AamSegmentsOptions<'golfFans' | 'highValue'>> = {},
  timeoutMs?: number,
): Promise<Fleet> {
  const storeClock = { aheadMs: 0 };
  // By the clock that tests set forward.
  const store = createMemoryStore(() => performance.now() + storeClock.aheadMs);
  const members: Member[] = [];
  for (let n = 0; n < size; n++) {
    const line = new Line(store, timeoutMs);
    const { cache, dcs, ...rest } = options;
    const first = members[0];
    const site = await createSite({
      ...rest,
      cache: { keySecret: KEY_SECRET, shared: line, ...cache },
      dcs: { ...first?.simulator.dcs, ...dcs },
    });
    members.push({ ...site, line });
  }
  const { simulator } = members[0] as Member;
  const fleet = { store, storeClock, simulator, members, calls: () => simulator.requests.length };
  // A process joins when it is first asked for something.
  for (const { aam } of members) aam.forget({ ecid: '0'.repeat(38) });
  await until(() => members.every(({ aam }) => aam.stats().shared?.status === 'ready'));
  return fleet;
}

/** Waits for something that comes from elsewhere. */
export async function until(isSo: () => boolean, what = 'what was waited for'): Promise<void> {
  for (let left = 1_000; left > 0; left--) {
    if (isSo()) return;
    await sleep(5);
  }
  throw new Error(`${what} has not happened`);
}
