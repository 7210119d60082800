/**
 * Owns: which requests come from bots. A crawler with an id of its own, or with somebody's, is what gets ids denylisted
 * (Audience Manager docs, "DCS error codes": 306). Next: consent-gate.ts.
 */
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { detachedString } from '../cache/detached-string';

/** Recognising takes thousands of times as long as looking up; a site sees the same few hundred browsers. */
const MAX_KNOWN = 1_000;
/** Browsers have 100 to 300 characters. What comes after these tells nothing, and would be kept. */
const MAX_LENGTH = 1_024;

export class BotDetector {
  readonly #known = new LRUCache<string, boolean>({ max: MAX_KNOWN });

  /** By its `User-Agent`. Who sends none is not taken for one. */
  isBot(userAgent: string | undefined): boolean {
    if (userAgent === undefined) return false;
    const text = userAgent.length > MAX_LENGTH ? userAgent.slice(0, MAX_LENGTH) : userAgent;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const found = isbot(text);
    this.#known.set(detachedString(text), found);
    return found;
  }
}
