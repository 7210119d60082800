/**
 * Owns: what the DCS says of a visitor, as segments and for how long they hold. It remembers no answer, and knows
 * nothing of requests. Next: answer-resolver.ts, which remembers; dcs-client.ts, for those who want to do without.
 */

import { DcsCaller } from '../dcs/caller';
import { DcsError } from '../dcs/protocol/dcs-error';
import { ADVICE, type Exclusion } from '../dcs/protocol/error-codes';
import type { DcsReply } from '../dcs/protocol/reply';
import type { Question } from '../dcs/protocol/request';
import { VisitorKeys } from '../identity/cache-keys';
import type { ResolvedClientOptions } from '../options/dcs-client-options';
import { segmentSetOf } from '../segments/segment-set';
import { Remembered } from './cached-answer';
import { ConfigurationAdvice } from './configuration-advice';

/** The resolved values that asking needs. */
export interface SegmentClientConfig extends Omit<ResolvedClientOptions, 'names'> {
  readonly cache: {
    /** For how long an answer holds. */
    readonly ttlMs: number;
    /** The same of one without segments, and how long a visitor is left alone after an answer without data. */
    readonly emptyTtlMs: number;
    readonly keySecret: string | undefined;
  };
}

const MINUTE_MS = 60_000;

/**
 * How long an exclusion holds where the DCS does not say: hours for an id or a country that will not become valid, and
 * for a denylisted id as long as an entry can. (The visitor lane refuses that one for the life of the process anyway.)
 */
const EXCLUSION_TTL_MS: Readonly<Record<Exclusion, number>> = {
  'opted-out': 120 * MINUTE_MS,
  'no-consent': 0, // never remembered: it is what the request says
  'invalid-id': 360 * MINUTE_MS,
  refused: 60 * MINUTE_MS,
  denylisted: 2_147_483_647,
};

export class SegmentClient {
  readonly caller: DcsCaller;
  readonly advice: ConfigurationAdvice;
  readonly keys: VisitorKeys;
  readonly #config: SegmentClientConfig;

  /** @param nowMs a monotonic clock */
  constructor(config: SegmentClientConfig, nowMs: () => number) {
    this.#config = config;
    if (!/^[0-9A-F]{24}@AdobeOrg$/i.test(config.orgId)) {
      // Legal, but nearly always a slip, and one that would only show as visitors who never have an id.
      process.emitWarning(`the option 'orgId' is ${config.orgId}; Adobe's are 24 hexadecimal digits and @AdobeOrg`, {
        code: 'WRN_AAM_ORG_ID',
      });
    }
    this.keys = new VisitorKeys(config.cache.keySecret);
    this.advice = new ConfigurationAdvice({
      adviceOnCode: ADVICE,
      wantsSegmentIds: config.dcs.segmentIds !== false,
    });
    this.caller = new DcsCaller({
      ...config.dcs,
      orgId: config.orgId,
      partnerHost: config.partnerHost,
      noDataIntervalMs: config.cache.emptyTtlMs,
      nowMs,
    });
  }

  stats() {
    const { calls, inFlight, origins, events } = this.caller;
    return { calls, inFlight, origins, events, advice: this.advice.given };
  }

  /**
   * The visitor's segments, or that the DCS does not serve them.
   * @throws {DcsError} by rejection
   */
  ask(key: string, question: Question): Promise<Remembered> {
    return this.#remembered(this.caller.lookup(key, question), question);
  }

  /**
   * The same after the DCS was told what the question's signals say, once, and after all that it was told before.
   * @throws {AamError} by rejection: a {@link DcsError}, or `ERR_AAM_EVENT_DROPPED`
   */
  tell(key: string, question: Question): Promise<Remembered> {
    return this.#remembered(this.caller.sendEvent(key, question), question);
  }

  async #remembered(call: Promise<DcsReply>, { visitor }: Question): Promise<Remembered> {
    const { cache, destinations } = this.#config;
    const { region: cookieRegion } = visitor;
    try {
      const reply = await call;
      this.advice.onReply(reply);
      const set = segmentSetOf(reply, destinations);
      const isEmpty = set.ids === '' && set.values === undefined;
      return Remembered.segments(set, {
        region: reply.region,
        transactionId: reply.transactionId,
        cookieRegion,
        ttlMs: isEmpty ? cache.emptyTtlMs : cache.ttlMs,
      });
    } catch (error) {
      if (!(error instanceof DcsError)) throw error;
      if (error.dcsCode !== undefined) this.advice.onCode(error.dcsCode);
      if (!isExclusion(error.reason)) throw error;
      return Remembered.exclusion(error.reason, cookieRegion, error.optOutTtlMs ?? EXCLUSION_TTL_MS[error.reason]);
    }
  }
}

/** Whether the DCS does not serve the visitor: an answer, and no failure. */
export function isExclusion(reason: string): reason is Exclusion {
  return Object.hasOwn(EXCLUSION_TTL_MS, reason);
}
