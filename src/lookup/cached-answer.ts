import type { Stamped } from '../cache/answer-cache';
import type { Exclusion } from '../dcs/protocol/error-codes';
import { NO_SEGMENTS, type SegmentSet } from '../segments/segment-set';
import type { ShownAnswer } from '../segments/served-answer';

/**
 * What the cache holds for a visitor: their segments, or that the DCS will not serve them. One flat object, since there
 * are as many of them as visitors.
 */
export class CachedAnswer implements Stamped, ShownAnswer {
  readonly ids: string;
  readonly values: readonly string[] | undefined;
  readonly destinations: Readonly<Record<string, string>> | undefined;
  /** The data centre that answered. */
  readonly region: number | undefined;
  readonly transactionId: string | undefined;
  /** Set instead of all that: the DCS does not serve this visitor. */
  readonly excluded: Exclusion | undefined;
  /** The last region that the visitor's own cookies named: where to ask when they name none. */
  cookieRegion: number | undefined;
  readonly ttlMs: number;
  /** The moment of {@link Generations} at which it was up to date. Set when it is stored. */
  validAt = 0;
  storedAtMs = 0;
  firstSeenMs = 0;
  variant = '';
  other: this | undefined = undefined;

  private constructor(
    set: SegmentSet,
    answer: Pick<CachedAnswer, 'region' | 'transactionId' | 'excluded' | 'cookieRegion' | 'ttlMs'>,
  ) {
    this.ids = set.ids;
    this.values = set.values;
    this.destinations = set.destinations;
    this.region = answer.region;
    this.transactionId = answer.transactionId;
    this.excluded = answer.excluded;
    this.cookieRegion = answer.cookieRegion;
    this.ttlMs = answer.ttlMs;
  }

  static segments(
    set: SegmentSet,
    answer: Pick<CachedAnswer, 'region' | 'transactionId' | 'cookieRegion' | 'ttlMs'>,
  ): CachedAnswer {
    return new CachedAnswer(set, { ...answer, excluded: undefined });
  }

  static exclusion(excluded: Exclusion, cookieRegion: number | undefined, ttlMs: number): CachedAnswer {
    return new CachedAnswer(NO_SEGMENTS, {
      region: undefined,
      transactionId: undefined,
      excluded,
      cookieRegion,
      ttlMs,
    });
  }

  /** The DCS turns away the visitor, whatever was asked. */
  get answersAll(): boolean {
    return this.excluded !== undefined;
  }

  /** What the DCS has said about the visitor holds whatever the visitor does: else a refusal would have it asked again. */
  get outlivesWithdrawal(): boolean {
    return this.excluded !== undefined;
  }

  /** An exclusion ends with its ttl: nobody is kept out on old news. */
  get keptStale(): boolean {
    return this.excluded === undefined;
  }
}
