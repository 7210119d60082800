/**
 * Owns: recognising bots. Crawlers that replay one visitor id are the usual reason why ids are denylisted (Audience Manager
 * docs, "DCS error codes": 306). Next: prefetch.ts.
 */
import { isbot } from 'isbot';
import { KnownTexts } from '../cache/known-texts';
import { headerText } from './header-text';

/** Browsers send 100 to 300 characters. Longer ones are cut, so that they do not fill the memory. */
const MAX_LENGTH = 1_024;

/**
 * What isbot takes for the sign of a robot and is none, each found by trying with isbot 5.2.3. It is cut out before isbot looks at
 * the rest, so that a robot that has it as well is still one.
 */
const HARMLESS: readonly RegExp[] = [
  // Facebook's and Messenger's apps describe the phone in brackets, with its carrier: `[FBAN/FB4A;FBAV/279.0.0.43.120;...;
  // FBCR/Telekom.de;FBMF/HUAWEI;...]`. On Android, many requests have nothing else. Without a blank in the carrier's name, isbot's
  // pattern `^[^ ]{50,}$` takes that for the made-up name of a scanner, and the carrier Google Fi is a crawler to its `google`.
  /\[FB(?:AN|_IAB)\/[^\]]*(?:\]|$)/g,
];

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
    const found = isbot(HARMLESS.reduce((rest, harmless) => rest.replace(harmless, ''), text));
    this.#known.add(text, found);
    return found;
  }
}
