/**
 * Owns: the shared store on Redis 7 or later, or Valkey. Each of its methods runs one script; whatever comes back is looked at
 * as if a stranger had written it. Next: scripts.ts, redis-clients.ts.
 */
import { createHash, randomBytes } from 'node:crypto';
import { OPTIONS } from '../diagnosis/option-names';
import { Warnings } from '../diagnosis/warnings';
import { AamError } from '../errors';
import { assert, group, integer, isText } from '../option-checks';
import {
  type AnswerToStore,
  type Claim,
  type Claimed,
  type Ending,
  type Invalidation,
  MAX_TEXT_LENGTH,
  type Refill,
  type SharedStore,
  type StoredAnswer,
  type StoreFailure,
  type StoreListener,
  type StoreReading,
  type StoreSubscription,
  WIRE_VERSION,
} from '../shared-tier/shared-store';
import {
  type Connection,
  connectionOf,
  failureOf,
  type IoredisClient,
  isManyServers,
  type NodeRedisClient,
} from './redis-clients';
import { type ScriptName, scriptsOf } from './scripts';

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /**
   * What all keys and channels begin with. A user of an ACL needs `~<prefix>:*`, `&<prefix>:*`, and the commands `EVAL`,
   * `EVALSHA`, `SUBSCRIBE` and those of hashes, lists and strings.
   * @default 'aam'
   */
  readonly prefix?: string | undefined;
  /**
   * How long one command may take, in milliseconds. Beyond it a page goes on without.
   * @default 25
   */
  readonly timeoutMs?: number | undefined;
}

/**
 * A store for the option `cache.shared`, on the site's own client: `redis` 5 or 6, or `ioredis` 5 or 6, of a single server. The
 * client is not connected, configured or closed. To listen for messages, the instance duplicates it, and closes the duplicate
 * with `aam.close()`.
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 *
 * @example
 * const redis = createClient({ url: process.env.REDIS_URL ?? 'redis://localhost', disableOfflineQueue: true }).on('error', console.error);
 * redis.connect().catch(console.error); // not awaited: the site starts without Redis
 * const aam = aamSegments({ ...options, cache: { keySecret: process.env.AAM_KEY_SECRET, shared: redisStore(redis) } });
 */
export function redisStore(client: NodeRedisClient | IoredisClient, options: RedisStoreOptions = {}): SharedStore {
  return createRedisStore(client, options, WIRE_VERSION);
}

/** {@link redisStore} in the wire format of another version, for the tests of two versions side by side. Internal. */
export function createRedisStore(client: unknown, options: RedisStoreOptions, version: string): SharedStore {
  const { prefix = 'aam', timeoutMs } = group<RedisStoreOptions>('options', options, OPTIONS[TAKER], TAKER);
  // A brace would decide on which node of a cluster a visitor is.
  assert(isText(prefix) && !/[{}\s]/.test(prefix), 'options.prefix', 'a text without braces and spaces', prefix);
  if (isManyServers(client)) {
    throw new AamError('ERR_AAM_INVALID_OPTION', 'client must be of a single server: clusters are not supported yet');
  }
  const connection = connectionOf(client);
  assert(connection !== undefined, 'client', "a client of 'redis' 5 or 6, or of 'ioredis' 5 or 6", client);
  adviseOn(connection);
  return new RedisStore(connection, prefix, integer('options.timeoutMs', timeoutMs, 1, 60_000, 25), version);
}

class RedisStore implements SharedStore {
  readonly timeoutMs: number;
  readonly #connection: Connection;
  readonly #keyPrefix: string;
  readonly #version: string;
  readonly #scripts: ReadonlyMap<ScriptName, Script>;
  #commands = 0;

  constructor(connection: Connection, prefix: string, timeoutMs: number, version: string) {
    this.timeoutMs = timeoutMs;
    this.#connection = connection;
    this.#keyPrefix = `${prefix}:${version}:`;
    this.#version = version;
    const scripts = Object.entries(scriptsOf(version)) as [ScriptName, string][];
    this.#scripts = new Map(scripts.map(([name, source]) => [name, new Script(source)]));
  }

  get isReady(): boolean {
    return this.#connection.isReady;
  }

  failureOf(error: unknown): StoreFailure {
    return failureOf(error);
  }

  async read(key: string, question: string): Promise<StoreReading> {
    const reply = listOf(await this.#run('read', [this.#keyOf(key)], [question]), 5);
    const nowMs = numberOf(reply[0]);
    const final = this.#answerIn(reply[4], nowMs);
    return {
      nowMs,
      invalidatedAtMs: numberOf(reply[1]),
      eventForMs: numberOf(reply[2]),
      answer: this.#answerIn(reply[3], nowMs),
      final: final !== undefined && final.ageMs < final.ttlMs ? final : undefined,
    };
  }

  async take(key: string, claim: Claim): Promise<Claimed> {
    const { token, lockMs, kind, question, consentAgoMs, maxCallsPerMinute, announcement } = claim;
    const ours = this.#keyOf(key);
    const args = [token, lockMs, kind, question, consentAgoMs, maxCallsPerMinute, ...this.#publication(announcement)];
    const reply = listOf(await this.#run('take', [ours, `${ours}:calls`], args), 1);
    switch (reply[0]) {
      case 'taken':
        return { outcome: 'taken', stamp: numberOf(reply[1]) };
      case 'withdrawn':
        return { outcome: 'withdrawn' };
      case 'paused':
        return { outcome: 'paused', forMs: numberOf(reply[1]), reason: textOf(reply[2]) };
      case 'limited':
      case 'held':
        return { outcome: reply[0], forMs: numberOf(reply[1]) };
      case 'answered': {
        const answer = this.#answerIn(reply[2], numberOf(reply[1]));
        if (answer !== undefined) return { outcome: 'answered', answer, isFinal: reply[3] === 'x' };
      }
    }
    throw new Error('The store has given an unusable reply.');
  }

  async end(key: string, ending: Ending): Promise<'stored' | 'outdated' | 'nothing'> {
    const { token, stamp, lockMs, answer, pause, message, isNews } = ending;
    const reply = await this.#run(
      'end',
      [this.#keyOf(key)],
      [
        token,
        stamp,
        lockMs,
        ...(answer === undefined ? ['', '', 0, 0] : storedFormOf(answer)),
        pause?.forMs ?? 0,
        pause?.reason ?? '',
        ...this.#publication(message),
        isNews ? 1 : 0,
      ],
    );
    return reply === 'stored' || reply === 'outdated' ? reply : 'nothing';
  }

  async invalidate(key: string, invalidation: Invalidation): Promise<boolean> {
    const { isWithdrawal, isCertain, keepMs, message } = invalidation;
    const args = [isWithdrawal ? 1 : 0, isCertain ? 1 : 0, keepMs, ...this.#publication(message)];
    return (await this.#run('invalidate', [this.#keyOf(key)], args)) === 1;
  }

  async refill(key: string, refill: Refill): Promise<void> {
    const [field, text, ttlMs, keepMs] = storedFormOf(refill);
    const args = [field, text, ttlMs, refill.storedAtMs, keepMs, refill.lockMs];
    if (field !== '') await this.#run('refill', [this.#keyOf(key)], args);
  }

  async beat(channel: string, text: string): Promise<string> {
    const candidate = randomBytes(9).toString('base64url');
    const args = [candidate, ...this.#publication({ channel, text })];
    return textOf(await this.#run('beat', [`${this.#keyPrefix}memory`], args));
  }

  subscribe(channels: readonly string[], listener: StoreListener): StoreSubscription {
    const end = this.#connection.listen(
      channels.map((channel) => this.#channelOf(channel)),
      listener,
    );
    // Not in the middle of a message: a client that is ended while it parses one does not come back from that.
    return { close: () => new Promise<void>((resolve) => setImmediate(() => resolve(end()))) };
  }

  /** In braces: all keys of a visitor are on one node of a cluster. */
  #keyOf(key: string): string {
    return `${this.#keyPrefix}{${key}}`;
  }

  #channelOf(channel: string): string {
    return `${this.#keyPrefix}${channel}`;
  }

  #publication(message: { readonly channel: string; readonly text: string } | undefined): readonly [string, string] {
    return message === undefined ? ['', ''] : [this.#channelOf(message.channel), message.text];
  }

  async #run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const { source, sha } = this.#scripts.get(name) as Script;
    const nonce = `${++this.#commands}`;
    const rest = [String(keys.length), ...keys, ...args.map(String), nonce];
    try {
      return replyTo(nonce, await this.#connection.send(['EVALSHA', sha, ...rest]));
    } catch (error) {
      // The engine does not have it yet, or not any more.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return replyTo(nonce, await this.#connection.send(['EVAL', source, ...rest]));
    }
  }

  /** `undefined` for garbage, for another version, and for what comes from the future. */
  #answerIn(value: unknown, nowMs: number): StoredAnswer | undefined {
    if (typeof value !== 'string') return undefined;
    const [version, , storedAt, ttl] = value.split(' ', 4);
    if (version !== this.#version || !isNumber(storedAt) || !isNumber(ttl)) return undefined;
    const ageMs = nowMs - Number(storedAt);
    const text = value.slice(headerLengthOf(value));
    // The clock of a server that takes over may be behind.
    if (ageMs < -MAX_CLOCK_STEP_MS || text.length > MAX_TEXT_LENGTH || NOT_LATIN_1.test(text)) return undefined;
    return { text, ageMs: Math.max(0, ageMs), ttlMs: Number(ttl) };
  }
}

class Script {
  readonly source: string;
  readonly sha: string;

  constructor(source: string) {
    this.source = source;
    this.sha = createHash('sha1').update(source).digest('hex');
  }
}

const MAX_CLOCK_STEP_MS = 1_000;
const NOT_LATIN_1 = /[^\0-\u00ff]/;
const HEADER_FIELDS = 4;

function headerLengthOf(value: string): number {
  let at = 0;
  for (let n = 0; n < HEADER_FIELDS; n++) at = value.indexOf(' ', at) + 1;
  return at;
}

/** Field, text, ttl and how long it is kept; no field for an answer that is not stored. */
function storedFormOf({ question, isFinal, text, ttlMs, keepMs }: AnswerToStore): [string, string, number, number] {
  if (text.length > MAX_TEXT_LENGTH) return ['', '', 0, 0];
  return [isFinal ? 'x' : `a${question}`, text, ttlMs, keepMs];
}

function isNumber(given: unknown): given is string {
  return typeof given === 'string' && /^\d{1,15}$/.test(given);
}

function numberOf(given: unknown): number {
  if (!isNumber(given)) throw new Error('The store has given an unusable reply.');
  return Number(given);
}

function textOf(given: unknown): string {
  return typeof given === 'string' ? given.slice(0, 100) : '';
}

/** A client may be out of step with its connection, and every reply that to the command before. Then nothing of it can be used. */
function replyTo(nonce: string, reply: unknown): unknown {
  if (Array.isArray(reply) && reply[0] === nonce) return reply[1];
  throw new Error('The client has given the reply to another command.');
}

function listOf(given: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(given) || given.length < length) throw new Error('The store has given an unusable reply.');
  return given;
}

/** What goes wrong only on the day on which the engine does is said at once, and once for all clients. */
const TAKER = 'redisStore()';
const warnings = new Warnings();

function adviseOn(connection: Connection): void {
  if (connection.queuesOffline) {
    warnings.warn(
      'WRN_AAM_REDIS_CLIENT',
      'The Redis client queues commands while it is not connected. No command of ours is among them, but those of others come ' +
        "as a burst when it is back. For a cache, turn that off: disableOfflineQueue: true ('redis'), or " +
        "enableOfflineQueue: false ('ioredis').",
    );
  }
  // It is usual to add the listener in the next line.
  setImmediate(() => {
    if (connection.hasErrorListener) return;
    warnings.warn(
      'WRN_AAM_REDIS_CLIENT',
      "The Redis client has no listener for 'error': it ends the process when the connection breaks. Add one.",
    );
  }).unref();
}
