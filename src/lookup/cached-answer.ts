import type { Stamped } from '../cache/answer-cache';
import type { Exclusion } from '../dcs/protocol/error-codes';
import { NO_SEGMENTS, type SegmentSet } from '../segments/segment-set';
import type { ShownAnswer } from '../segments/served-answer';

/**
 * What the cache holds for a visitor: their segments, or that the DCS does not serve them. One flat object, because there is
 * one per visitor.
 */
export class CachedAnswer implements Stamped, ShownAnswer {
  readonly ids: string;
  readonly values: readonly string[] | undefined;
  readonly destinations: Readonly<Record<string, string>> | undefined;
  /** The data centre that answered. */
  readonly region: number | undefined;
  readonly transactionId: string | undefined;
  /** Why the DCS does not serve this visitor; the fields above are empty then. */
  readonly excluded: Exclusion | undefined;
  /** The region of the visitor's last cookie that had one, for lookups without a region. */
  cookieRegion: number | undefined;
  readonly ttlMs: number;
  storedAtMs = 0;
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

  /** Whether it answers all variants of the lookup: an exclusion is about the visitor. */
  get answersAll(): boolean {
    return this.excluded !== undefined;
  }

  /** Whether it may be served stale. An exclusion ends with its ttl. */
  get keptStale(): boolean {
    return this.excluded === undefined;
  }
}
