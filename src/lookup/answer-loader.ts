/**
 * Owns: turning a reply of the DCS into an answer for the cache, with its ttl. The cache and requests are not known here.
 * Next: answer-resolver.ts.
 */
import type { Dcs } from '../dcs/dcs-calls';
import { DcsError } from '../dcs/protocol/dcs-error';
import { ADVICE, type Exclusion } from '../dcs/protocol/error-codes';
import type { DcsReply } from '../dcs/protocol/reply';
import type { Question } from '../dcs/protocol/request';
import { type DestinationFormats, segmentSetOf } from '../segments/segment-set';
import { CachedAnswer } from './cached-answer';
import { ConfigurationAdvice } from './configuration-advice';

/** The resolved values that the loader needs. */
export interface AnswerLoaderConfig {
  readonly destinations: DestinationFormats;
  readonly dcs: { readonly segmentIds: unknown };
  readonly cache: {
    /** How long an answer stays fresh. */
    readonly ttlMs: number;
    /** How long an answer without segments stays fresh. */
    readonly emptyTtlMs: number;
  };
}

const MINUTE_MS = 60_000;

/**
 * How long an exclusion holds unless the DCS says so: hours for an id or a country that will not become valid, and for a
 * denylisted id the maximum. (The visitor lane rejects that one for the life of the process anyway.)
 */
const EXCLUSION_TTL_MS: Readonly<Record<Exclusion, number>> = {
  'opted-out': 120 * MINUTE_MS,
  'no-consent': 0, // never cached: it depends on the request
  'invalid-id': 360 * MINUTE_MS,
  refused: 60 * MINUTE_MS,
  denylisted: 2_147_483_647,
};

export class AnswerLoader {
  readonly #config: AnswerLoaderConfig;
  readonly #dcs: Dcs;
  readonly #advice: ConfigurationAdvice;

  constructor(config: AnswerLoaderConfig, dcs: Dcs) {
    this.#config = config;
    this.#dcs = dcs;
    this.#advice = new ConfigurationAdvice({
      adviceOnCode: ADVICE,
      wantsSegmentIds: config.dcs.segmentIds !== false,
    });
  }

  /** What is wrong with the configuration according to the answers so far, and what to do. */
  get advice(): readonly string[] {
    return this.#advice.given;
  }

  /**
   * Looks the visitor up: their segments, or an exclusion.
   * @throws {DcsError} by rejection
   */
  lookup(key: string, question: Question): Promise<CachedAnswer> {
    return this.#answerOf(this.#dcs.lookup(key, question), question);
  }

  /**
   * Sends an event; the answer is the visitor's segments after it, or an exclusion.
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  sendEvent(key: string, question: Question): Promise<CachedAnswer> {
    return this.#answerOf(this.#dcs.sendEvent(key, question), question);
  }

  async #answerOf(call: Promise<DcsReply>, { visitor }: Question): Promise<CachedAnswer> {
    const { cache, destinations } = this.#config;
    const { region: cookieRegion } = visitor;
    try {
      const reply = await call;
      this.#advice.onReply(reply);
      const set = segmentSetOf(reply, destinations);
      const isEmpty = set.ids === '' && set.values === undefined;
      return CachedAnswer.segments(set, {
        region: reply.region,
        transactionId: reply.transactionId,
        cookieRegion,
        ttlMs: isEmpty ? cache.emptyTtlMs : cache.ttlMs,
      });
    } catch (error) {
      if (!(error instanceof DcsError)) throw error;
      if (error.dcsCode !== undefined) this.#advice.onCode(error.dcsCode);
      if (!isExclusion(error.reason)) throw error;
      return CachedAnswer.exclusion(error.reason, cookieRegion, error.optOutTtlMs ?? EXCLUSION_TTL_MS[error.reason]);
    }
  }
}

/** Whether a reason is an exclusion, which is an answer and not a failure. */
export function isExclusion(reason: string): reason is Exclusion {
  return Object.hasOwn(EXCLUSION_TTL_MS, reason);
}
