/**
 * Owns: what a store for the option `cache.shared` must do, as checks that anybody can run with any test runner. Two
 * connections to one engine take part, since a store that works for one process alone is none. Next: ../shared-tier/.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type {
  AnswerToStore,
  Claim,
  Claimed,
  Ending,
  Invalidation,
  SharedStore,
  StoreListener,
} from '../shared-tier/shared-store';

/** One check of a {@link SharedStore}. */
export interface SharedStoreCheck {
  readonly title: string;
  /**
   * Rejects with what is wrong.
   * @param one on a connection of its own
   * @param other on another connection to the same engine. Both are ready.
   */
  run(one: SharedStore, other: SharedStore): Promise<void>;
}

/** Longer than any check takes on a busy machine. */
const LOCK_MS = 20_000;
/** Of what a check sees the end of. */
const SHORT_MS = 1_500;
const BEYOND_SHORT_MS = SHORT_MS + 100;
const MINUTE_MS = 60_000;
const CHANNEL = randomBytes(9).toString('base64url');

/**
 * What a {@link SharedStore} must do. Checks do not disturb each other, and can run at the same time.
 *
 * @example
 * for (const { title, run } of sharedStoreChecks) test(title, () => run(myStore(clientA), myStore(clientB)));
 */
export const sharedStoreChecks: readonly SharedStoreCheck[] = [
  check('knows nothing about a visitor at first', async (one, _other, key) => {
    const { answer, final, invalidatedAtMs, eventForMs } = await one.read(key, '');
    assert.deepEqual({ answer, final, invalidatedAtMs, eventForMs }, NOTHING);
  }),
  check('keeps an answer with its age, for the question that was asked', async (one, other, key) => {
    const taken = await takeOf(one, key);
    assert.equal(await one.end(key, ending(taken, { answer: answerOf('\u0000 text\u00ff', 'q') })), 'stored');
    await sleep(60);
    const { answer } = await other.read(key, 'q');
    assert.equal(answer?.text, '\u0000 text\u00ff');
    assert.equal(answer?.ttlMs, MINUTE_MS);
    assert.ok(answer.ageMs >= 55 && answer.ageMs < 10_000, `age: ${answer.ageMs}`);
    assert.equal((await other.read(key, '')).answer, undefined);
  }),
  check('gives the lock of a visitor to one of many who ask at the same time', async (one, other, key) => {
    const stores = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one : other));
    const claimed = await Promise.all(stores.map((store) => store.take(key, claim())));
    assert.equal(claimed.filter(({ outcome }) => outcome === 'taken').length, 1);
    for (const each of claimed.filter(({ outcome }) => outcome === 'held')) {
      assert.ok('forMs' in each && each.forMs > 0 && each.forMs <= LOCK_MS + 50);
    }
    assert.equal(claimed.filter(({ outcome }) => outcome === 'held').length, 19);
  }),
  check(
    'gives the lock again to whoever holds it, with a later stamp and without counting a call',
    async (one, _, key) => {
      const mine = claim({ maxCallsPerMinute: 1 });
      const first = stampOf(await one.take(key, mine));
      assert.ok(stampOf(await one.take(key, mine)) > first);
    },
  ),
  check(
    'gives the lock to the next one when it has been given back, or has been held too long',
    async (one, other, key) => {
      await one.end(key, ending(await takeOf(one, key)));
      await takeOf(other, key, { lockMs: SHORT_MS });
      assert.equal((await one.take(key, claim())).outcome, 'held');
      await sleep(BEYOND_SHORT_MS);
      await takeOf(one, key);
    },
  ),
  check('does not let anybody give back the lock of somebody else', async (one, other, key) => {
    const taken = await takeOf(one, key);
    await other.end(key, ending({ ...taken, token: tokenOf() }));
    assert.equal((await other.take(key, claim())).outcome, 'held');
  }),
  check('has stamps that grow from holder to holder', async (one, other, key) => {
    let last = 0;
    for (let n = 0; n < 20; n++) {
      const store = n % 2 === 0 ? one : other;
      const taken = await takeOf(store, key);
      await store.end(key, ending(taken));
      assert.ok(taken.stamp > last);
      last = taken.stamp;
    }
  }),
  check('answers a lookup instead of giving it the lock, with an answer that is fresh', async (one, other, key) => {
    await one.end(key, ending(await takeOf(one, key), { answer: answerOf('text', '', { ttlMs: SHORT_MS }) }));
    const found = await other.take(key, claim());
    assert.ok(found.outcome === 'answered' && found.answer.text === 'text' && !found.isFinal);
    assert.equal((await one.take(key, claim({ question: 'other' }))).outcome, 'taken');
    await sleep(BEYOND_SHORT_MS);
    assert.equal((await other.take(key, claim())).outcome, 'held');
  }),
  check('lets an event begin although there is a fresh answer, and lookups wait for it', async (one, other, key) => {
    await one.end(key, ending(await takeOf(one, key), { answer: answerOf('before') }));
    const event = await takeOf(one, key, { kind: 'event' });
    assert.equal((await other.take(key, claim())).outcome, 'held');
    assert.ok((await other.read(key, '')).eventForMs > 0);
    await one.end(key, ending(event, { answer: answerOf('after') }));
    assert.equal((await other.read(key, '')).eventForMs, 0);
    const found = await other.take(key, claim());
    assert.ok(found.outcome === 'answered' && found.answer.text === 'after');
  }),
  check('announces a call when it begins, to the other', async (one, other, key) => {
    const heard = await listening(other);
    const announcement = { channel: CHANNEL, text: `began ${key}` };
    const { stamp } = await takeOf(one, key, { kind: 'event', announcement });
    await heard.has(`began ${key} ${stamp}`);
    await heard.close();
  }),
  check('publishes the end of a call if somebody has found its lock held, and else not', async (one, other, key) => {
    const heard = await listening(other);
    await one.end(key, ending(await takeOf(one, key), { message: { channel: CHANNEL, text: `unheard ${key}` } }));
    const taken = await takeOf(one, key);
    assert.equal((await other.take(key, claim())).outcome, 'held');
    await one.end(key, ending(taken, { message: { channel: CHANNEL, text: `heard ${key}` } }));
    await heard.has(`heard ${key} ${taken.stamp}`);
    assert.ok(!heard.texts.some((text) => text.startsWith(`unheard ${key}`)));
    await heard.close();
  }),
  check('publishes news that nobody waits for, if they are stored', async (one, other, key) => {
    const heard = await listening(other);
    const isNews = { isNews: true, answer: answerOf('text'), message: { channel: CHANNEL, text: `news ${key}` } };
    const taken = await takeOf(one, key);
    await one.end(key, ending(taken, isNews));
    await heard.has(`news ${key} ${taken.stamp}`);
    await heard.close();
  }),
  check('has calls made after a pause that a failed one leaves', async (one, other, key) => {
    await one.end(key, ending(await takeOf(one, key), { pause: { reason: 'http-status', forMs: SHORT_MS } }));
    for (const kind of ['lookup', 'event'] as const) {
      const found = await other.take(key, claim({ kind }));
      assert.ok(
        found.outcome === 'paused' && found.reason === 'http-status' && found.forMs > 0 && found.forMs <= SHORT_MS,
      );
    }
    await sleep(BEYOND_SHORT_MS);
    await takeOf(other, key);
  }),
  check('bounds the calls within a minute, in both together', async (one, other, key) => {
    const maxCallsPerMinute = 3;
    for (const store of [one, other, one]) {
      await store.end(key, ending(await takeOf(store, key, { maxCallsPerMinute })));
    }
    const found = await other.take(key, claim({ maxCallsPerMinute }));
    assert.ok(found.outcome === 'limited' && found.forMs > 50_000 && found.forMs <= MINUTE_MS);
  }),
  check('lets nothing hold an opt-out but a lock', async (one, other, key) => {
    const failed = { pause: { reason: 'timeout', forMs: MINUTE_MS } };
    await one.end(key, ending(await takeOf(one, key, { maxCallsPerMinute: 1 }), failed));
    await one.invalidate(key, invalidation());
    const optOut = { kind: 'opt-out', maxCallsPerMinute: 1, consentAgoMs: MINUTE_MS } as const;
    await takeOf(other, key, optOut);
    assert.equal((await one.take(key, claim(optOut))).outcome, 'held');
  }),
  check('forgets answers that are invalidated, and refuses what was asked for before', async (one, other, key) => {
    await one.end(key, ending(await takeOf(one, key), { answer: answerOf('a') }));
    await one.end(key, ending(await takeOf(one, key, { question: 'q' }), { answer: answerOf('b', 'q') }));
    const slow = await takeOf(one, key, { kind: 'event' });
    assert.equal(await other.invalidate(key, invalidation({ isCertain: false })), true);
    for (const question of ['', 'q']) {
      const { answer, invalidatedAtMs } = await one.read(key, question);
      assert.equal(answer, undefined);
      assert.ok(invalidatedAtMs >= slow.stamp);
    }
    assert.equal(await one.end(key, ending(slow, { answer: answerOf('late') })), 'outdated');
    assert.equal((await other.read(key, '')).answer, undefined);
    // Nobody is kept from being asked about anew.
    const next = await takeOf(other, key);
    assert.equal(await other.end(key, ending(next, { answer: answerOf('new') })), 'stored');
  }),
  check('keeps those from asking whose consent is older than a withdrawal, and only those', async (one, other, key) => {
    await one.end(key, ending(await takeOf(one, key), { answer: answerOf('a') }));
    await other.invalidate(key, invalidation({ isWithdrawal: true }));
    await sleep(30);
    for (const kind of ['lookup', 'event'] as const) {
      assert.equal((await one.take(key, claim({ kind, consentAgoMs: 5_000 }))).outcome, 'withdrawn');
    }
    await takeOf(one, key);
  }),
  check('lets those ask who came before something was forgotten', async (one, other, key) => {
    await one.end(key, ending(await takeOf(one, key), { answer: answerOf('a') }));
    await other.invalidate(key, invalidation());
    await takeOf(one, key, { consentAgoMs: 5_000 });
  }),
  check('publishes an invalidation where there is an answer or a lock, or where it must', async (one, other, key) => {
    const heard = await listening(other);
    const message = (text: string) => ({ channel: CHANNEL, text: `${text} ${key}` });
    const uncertain = (text: string) => invalidation({ isCertain: false, message: message(text) });
    assert.equal(await one.invalidate(key, uncertain('unknown')), false);
    assert.equal((await one.read(key, '')).invalidatedAtMs, 0);
    const taken = await takeOf(one, key);
    assert.equal(await one.invalidate(key, uncertain('locked')), true);
    await one.end(key, ending(taken));
    assert.equal(await one.invalidate(key, uncertain('again')), false);
    assert.equal(await one.invalidate(key, invalidation({ message: message('certain') })), true);
    await heard.has(`certain ${key}`);
    const texts = heard.texts.filter((text) => text.includes(key)).map((text) => text.split(' ')[0]);
    assert.deepEqual(texts, ['locked', 'certain']);
    await heard.close();
  }),
  check(
    'keeps what the DCS has said about a visitor through an invalidation, until it ends',
    async (one, other, key) => {
      await one.end(key, ending(await takeOf(one, key), { answer: answerOf('a', 'q') }));
      const final = answerOf('opted out', '', { isFinal: true, ttlMs: SHORT_MS });
      assert.equal(await one.end(key, ending(await takeOf(one, key), { answer: final })), 'stored');
      await other.invalidate(key, invalidation({ isWithdrawal: true }));
      const read = await other.read(key, 'q');
      assert.equal(read.answer, undefined);
      assert.equal(read.final?.text, 'opted out');
      await sleep(20);
      for (const kind of ['lookup', 'event'] as const) {
        const found = await other.take(key, claim({ kind }));
        assert.ok(found.outcome === 'answered' && found.isFinal && found.answer.text === 'opted out');
      }
      await sleep(BEYOND_SHORT_MS);
      assert.equal((await other.read(key, 'q')).final, undefined);
      await takeOf(other, key);
    },
  ),
  check('stores nothing that was asked for before what is stored', async (one, other, key) => {
    const short = { lockMs: 40 };
    const slow = await takeOf(one, key, short);
    await sleep(60);
    await other.end(key, ending(await takeOf(other, key), { answer: answerOf('newer') }));
    // Whatever its own lock's life was.
    assert.equal(await one.end(key, ending(slow, { answer: answerOf('older'), lockMs: MINUTE_MS })), 'outdated');
    assert.equal((await one.read(key, '')).answer?.text, 'newer');
  }),
  check(
    'stores nothing that was asked for longer ago than a lock lives, even if nothing else is known',
    async (one, _, key) => {
      const slow = await takeOf(one, key, { lockMs: 40 });
      await sleep(120);
      assert.equal(await one.end(key, ending(slow, { answer: answerOf('older'), lockMs: 40 })), 'outdated');
      assert.equal((await one.read(key, '')).answer, undefined);
    },
  ),
  check('has an answer that it has lost stored again, as old as it is', async (one, other, key) => {
    const { nowMs } = await one.read(key, '');
    await one.refill(key, { ...answerOf('again'), storedAtMs: nowMs - 10_000, lockMs: LOCK_MS });
    const { answer } = await other.read(key, '');
    assert.equal(answer?.text, 'again');
    assert.ok(answer.ageMs >= 10_000 && answer.ageMs < 20_000);
    await other.end(key, ending(await takeOf(other, key, { kind: 'event' }), { answer: answerOf('newer') }));
    await one.refill(key, { ...answerOf('again'), storedAtMs: nowMs - 5_000, lockMs: LOCK_MS });
    assert.equal((await other.read(key, '')).answer?.text, 'newer');
  }),
  check('does not take an answer again that was invalidated since, or shortly before', async (one, other, key) => {
    const { nowMs } = await one.read(key, '');
    await other.invalidate(key, invalidation());
    for (const storedAtMs of [nowMs - 10_000, nowMs + LOCK_MS / 2]) {
      await one.refill(key, { ...answerOf('again'), storedAtMs, lockMs: LOCK_MS });
      assert.equal((await other.read(key, '')).answer, undefined);
    }
  }),
  check('does not take an answer again that is of no use any more', async (one, other, key) => {
    const { nowMs } = await one.read(key, '');
    const answer = answerOf('again', '', { keepMs: 5_000 });
    await one.refill(key, { ...answer, storedAtMs: nowMs - 5_000, lockMs: LOCK_MS });
    assert.equal((await other.read(key, '')).answer, undefined);
  }),
  check('keeps the answers to four questions about a visitor at most', async (one, other, key) => {
    for (let n = 0; n < 6; n++) {
      const store = n % 2 === 0 ? one : other;
      const taken = await takeOf(store, key, { question: `q${n}` });
      await store.end(key, ending(taken, { answer: answerOf(`text ${n}`, `q${n}`) }));
    }
    const read = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => one.read(key, `q${n}`)));
    const texts = read.map(({ answer }) => answer?.text);
    assert.deepEqual(texts, [undefined, undefined, 'text 2', 'text 3', 'text 4', 'text 5']);
  }),
  check('stores no answer that is too large, and gives the lock back all the same', async (one, other, key) => {
    const large = answerOf('x'.repeat(65_537));
    assert.equal(await one.end(key, ending(await takeOf(one, key), { answer: large })), 'nothing');
    assert.equal((await other.read(key, '')).answer, undefined);
    await takeOf(other, key);
  }),
  check('lets each hear its own beat, and both know its memory by one name', async (one, other, key) => {
    const heard = await listening(one, key);
    const name = await one.beat(key, 'beat');
    assert.match(name, /^\S+$/);
    await heard.has(`beat ${name}`);
    assert.equal(await other.beat(key, 'other'), name);
    await heard.has(`other ${name}`);
    await heard.close();
  }),
];

const NOTHING = { answer: undefined, final: undefined, invalidatedAtMs: 0, eventForMs: 0 };

function check(
  title: string,
  run: (one: SharedStore, other: SharedStore, key: string) => Promise<void>,
): SharedStoreCheck {
  // A key of its own, so that checks can run again against an engine that remembers.
  return { title, run: (one, other) => run(one, other, randomBytes(24).toString('base64url')) };
}

interface Taken {
  readonly token: string;
  readonly stamp: number;
}

function tokenOf(): string {
  return randomBytes(9).toString('base64url');
}

function claim(details: Partial<Claim> = {}): Claim {
  return {
    token: tokenOf(),
    lockMs: LOCK_MS,
    kind: 'lookup',
    question: '',
    consentAgoMs: 0,
    maxCallsPerMinute: 20,
    announcement: undefined,
    ...details,
  };
}

async function takeOf(store: SharedStore, key: string, details: Partial<Claim> = {}): Promise<Taken> {
  const mine = claim(details);
  return { token: mine.token, stamp: stampOf(await store.take(key, mine)) };
}

function stampOf(claimed: Claimed): number {
  assert.equal(claimed.outcome, 'taken');
  return (claimed as { stamp: number }).stamp;
}

function answerOf(text: string, question = '', details: Partial<AnswerToStore> = {}): AnswerToStore {
  return { question, isFinal: false, text, ttlMs: MINUTE_MS, keepMs: 2 * MINUTE_MS, ...details };
}

function ending({ token, stamp }: Taken, details: Partial<Ending> = {}): Ending {
  return {
    token,
    stamp,
    lockMs: LOCK_MS,
    answer: undefined,
    pause: undefined,
    message: { channel: CHANNEL, text: 'ended' },
    isNews: false,
    ...details,
  };
}

function invalidation(details: Partial<Invalidation> = {}): Invalidation {
  return {
    isWithdrawal: false,
    isCertain: true,
    keepMs: MINUTE_MS,
    message: { channel: CHANNEL, text: 'invalidated' },
    ...details,
  };
}

/** Listens until a text was heard that begins in a certain way. */
async function listening(store: SharedStore, channel = CHANNEL) {
  const texts: string[] = [];
  let changed: () => void = () => {};
  const subscription = await new Promise<{ close(): Promise<void> }>((resolve) => {
    const listener: StoreListener = {
      message: (text) => {
        texts.push(text);
        changed();
      },
      listening: () => setImmediate(() => resolve(opened)),
      lost: () => {},
    };
    const opened = store.subscribe([channel], listener);
  });
  const has = (start: string) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new assert.AssertionError({ message: `not heard: ${start}` })), 5_000);
      changed = () => {
        if (!texts.some((text) => text.startsWith(start))) return;
        clearTimeout(timer);
        resolve();
      };
      changed();
    });
  return { texts, has, close: () => subscription.close() };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
