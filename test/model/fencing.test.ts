/**
 * A process that is stopped while it holds a lock, however long, changes nothing that others have learned since. All orders of
 * the steps of two processes and the store are tried, with pauses before each step: none, to the end of the lock, and beyond
 * any expiry.
 */
import type { SharedStore } from '../../src/shared-tier/shared-store';
import { createMemoryStore } from '../../src/testing/memory-store';

const LOCK_MS = 1_000;
const KEEP_MS = 60_000;
const PAUSES_MS = [0, LOCK_MS, 10 * KEEP_MS];
const KEY = 'visitor';
const MESSAGE = { channel: 'c', text: 'm' };

interface World {
  readonly store: SharedStore;
  /** What the DCS would say now; each event makes it newer. */
  truth: number;
  /** What was asked for before is out of date. */
  invalidatedAt: number;
}

type Step = (world: World) => Promise<void>;
type Program = () => readonly Step[];

/** A call: it takes the lock, asks or tells the DCS, and writes. Who does not get the lock waits, which is no step. */
const call =
  (kind: 'lookup' | 'event'): Program =>
  () => {
    const token = `token-${Math.random()}`;
    let stamp: number | undefined;
    let brought = 0;
    return [
      async ({ store }) => {
        const claim = { token, lockMs: LOCK_MS, kind, question: '', maxCallsPerMinute: 1_000, announcement: undefined };
        const claimed = await store.take(KEY, { ...claim, consentAgoMs: 0 });
        stamp = claimed.outcome === 'taken' ? claimed.stamp : undefined;
      },
      async (world) => {
        if (stamp === undefined) return;
        if (kind === 'event') world.truth++;
        brought = world.truth;
      },
      async ({ store }) => {
        if (stamp === undefined) return;
        const answer = { question: '', isFinal: false, text: String(brought), ttlMs: KEEP_MS / 2, keepMs: KEEP_MS };
        const ending = { token, stamp, lockMs: LOCK_MS, answer, pause: undefined, message: MESSAGE, isNews: false };
        await store.end(KEY, ending);
      },
    ];
  };

const invalidate =
  (isWithdrawal: boolean): Program =>
  () => [
    async (world) => {
      world.truth++;
      world.invalidatedAt = world.truth;
      await world.store.invalidate(KEY, { isWithdrawal, isCertain: true, keepMs: KEEP_MS, message: MESSAGE });
    },
  ];

/** It reads, and writes again what it holds if the store has nothing. */
const refill: Program = () => {
  let storedAtMs: number | undefined;
  let held: string | undefined;
  return [
    async ({ store }) => {
      const { nowMs, answer } = await store.read(KEY, '');
      storedAtMs = nowMs - (answer?.ageMs ?? 0);
      held = answer?.text;
    },
    async ({ store }) => {
      if (storedAtMs === undefined || held === undefined) return;
      const answer = { question: '', isFinal: false, text: held, ttlMs: KEEP_MS / 2, keepMs: KEEP_MS };
      await store.refill(KEY, { ...answer, storedAtMs, lockMs: LOCK_MS });
    },
  ];
};

/** Every way to merge so many steps of one with so many of the other. */
function* orders(a: number, b: number): Generator<readonly ('a' | 'b')[]> {
  if (a === 0 && b === 0) yield [];
  if (a > 0) for (const rest of orders(a - 1, b)) yield ['a', ...rest];
  if (b > 0) for (const rest of orders(a, b - 1)) yield ['b', ...rest];
}

/** Every choice of pauses before so many steps. */
function* pauses(steps: number): Generator<readonly number[]> {
  if (steps === 0) yield [];
  else for (const rest of pauses(steps - 1)) for (const pauseMs of PAUSES_MS) yield [pauseMs, ...rest];
}

/** Runs all orders with all pauses. @returns how many there were, and what was wrong with the first of those that were */
async function check(first: Program, second: Program, wrap = (store: SharedStore) => store) {
  let runs = 0;
  for (const order of orders(first().length, second().length)) {
    for (const waits of pauses(order.length)) {
      runs++;
      let nowMs = 1_000_000;
      const world: World = { store: wrap(createMemoryStore(() => nowMs)), truth: 1, invalidatedAt: 0 };
      // Something is known at first.
      for (const step of call('lookup')()) await step(world);
      let seen = 1;
      const left = { a: [...first()], b: [...second()] };
      for (const [n, who] of order.entries()) {
        nowMs += waits[n] as number;
        await (left[who].shift() as Step)(world);
        const { answer } = await world.store.read(KEY, '');
        if (answer === undefined) continue;
        const version = Number(answer.text);
        const how = `${order.join(' ')} with pauses of ${waits.join(', ')} ms, step ${n + 1}: `;
        if (version < seen) return { runs, problem: `${how}${version} after ${seen}` };
        if (version < world.invalidatedAt)
          return { runs, problem: `${how}${version} is from before ${world.invalidatedAt}` };
        seen = version;
      }
    }
  }
  return { runs, problem: undefined };
}

describe('fencing, in all orders of two processes with pauses beyond any expiry', () => {
  it.each([
    ['a lookup', 'an event', call('lookup'), call('event')],
    ['an event', 'an event', call('event'), call('event')],
    ['a lookup', 'a withdrawal', call('lookup'), invalidate(true)],
    ['an event', 'something forgotten', call('event'), invalidate(false)],
    ['an answer written again', 'an event', refill, call('event')],
    ['an answer written again', 'a withdrawal', refill, invalidate(true)],
  ])('%s never undoes what came of %s', async (_first, _second, first, second) => {
    const { runs, problem } = await check(first, second);
    expect(problem).toBeUndefined();
    expect(runs).toBeGreaterThanOrEqual(3 * 3 ** 3);
  });

  it('would notice a store that does not mind how old a stamp is', async () => {
    const mindless = (store: SharedStore): SharedStore => ({
      ...bound(store),
      end: (key, ending) => store.end(key, { ...ending, lockMs: Number.MAX_SAFE_INTEGER / 2 }),
    });
    const { problem } = await check(call('lookup'), call('event'), mindless);
    expect(problem).toMatch(/1 after 2|is from before/);
  });

  it('would notice a store that takes back an answer whatever was invalidated', async () => {
    const mindless = (store: SharedStore): SharedStore => ({
      ...bound(store),
      refill: async (key, answer) => {
        const { nowMs } = await store.read(key, '');
        await store.refill(key, { ...answer, storedAtMs: nowMs + 10 * LOCK_MS });
      },
    });
    const { problem } = await check(refill, invalidate(true), mindless);
    expect(problem).toMatch(/is from before/);
  });
});

/** Its methods as properties. */
function bound(store: SharedStore): SharedStore {
  return {
    timeoutMs: store.timeoutMs,
    isReady: true,
    read: store.read.bind(store),
    take: store.take.bind(store),
    end: store.end.bind(store),
    invalidate: store.invalidate.bind(store),
    refill: store.refill.bind(store),
    beat: store.beat.bind(store),
    subscribe: store.subscribe.bind(store),
  };
}
