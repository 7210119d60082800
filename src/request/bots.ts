/**
 * Owns: recognising bots. Crawlers that replay one visitor id are the usual reason why ids are denylisted (Audience Manager
 * docs, "DCS error codes": 306). Next: prefetch.ts.
 */
import { isbot } from 'isbot';
import { KnownTexts } from '../cache/known-texts';
import { headerText } from './header-text';

/** Browsers send 100 to 300 characters. Longer ones are cut, so that they do not fill the memory. */
const MAX_LENGTH = 1_024;

export class BotDetector {
  /** Matching costs thousands of times as much, and a site sees the same few hundred browsers. */
  readonly #known = new KnownTexts<boolean>();

  /** A request without a `User-Agent` does not count as one of a bot; one that nobody can read does. */
  isBot(given: unknown): boolean {
    const userAgent = headerText(given, 'bot');
    if (userAgent === undefined) return false;
    const text = userAgent.length > MAX_LENGTH ? userAgent.slice(0, MAX_LENGTH) : userAgent;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const found = isbot(text);
    this.#known.add(text, found);
    return found;
  }
}
