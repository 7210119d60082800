/**
 * Owns: warnings. All of the package leave here, once each, with a code and a link to what it means. Next: help.ts.
 *
 * Once per instance of the middleware or client, since two instances have two configurations; what is said while one is created
 * or called, once per process, since a site may do that in every request.
 */
import { helpFor } from './help';

export type WarningCode = `WRN_AAM_${string}`;

/** A site may build what a warning is about from requests. */
const MAX_WARNINGS = 100;

/** The warnings of one owner. */
export class Warnings {
  readonly #max: number;
  /** `undefined` where a message was taken back. */
  readonly #given = new Map<string, string | undefined>();

  /** @param max no more are given, whatever happens */
  constructor(max = MAX_WARNINGS) {
    this.#max = max;
  }

  /**
   * Warns, the first time only.
   * @param message what has happened and what to do, without identifiers
   * @param about what is warned about once; the message, if left out
   */
  warn(code: WarningCode, message: string, about = message): void {
    if (this.#given.has(about) || this.#given.size >= this.#max) return;
    this.#given.set(about, message);
    process.emitWarning(message, { code, detail: `See ${helpFor(code)}` });
  }

  /** All messages so far that still hold. */
  get given(): readonly string[] {
    return [...this.#given.values()].filter((message) => message !== undefined);
  }

  /** What was warned about has turned out not to be so. It is not warned about again. */
  takeBack(about: string): void {
    if (this.#given.has(about)) this.#given.set(about, undefined);
  }
}
