/**
 * Owns: recognising bots. Crawlers that replay one visitor id are the usual reason why ids are denylisted (Audience Manager
 * docs, "DCS error codes": 306). Next: prefetch.ts.
 */
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { detachedString } from '../cache/detached-string';
import { headerText } from './header-text';

/** Matching costs thousands of times a cache hit, and a site sees the same few hundred browsers. */
const MAX_CACHED = 1_000;
/** Browsers send 100 to 300 characters. Longer ones are cut, so that they do not fill the cache. */
const MAX_LENGTH = 1_024;

export class BotDetector {
  readonly #results = new LRUCache<string, boolean>({ max: MAX_CACHED });

  /** A request without a `User-Agent` does not count as one of a bot; one that nobody can read does. */
  isBot(given: unknown): boolean {
    const userAgent = headerText(given, 'bot');
    if (userAgent === undefined) return false;
    const text = userAgent.length > MAX_LENGTH ? userAgent.slice(0, MAX_LENGTH) : userAgent;
    const known = this.#results.get(text);
    if (known !== undefined) return known;
    const found = isbot(text);
    this.#results.set(detachedString(text), found);
    return found;
  }
}
