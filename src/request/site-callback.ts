import { type WarningCode, Warnings } from '../diagnosis/warnings';
import { kindOfError, promisedBy } from '../handed-over/reading';

/**
 * Owns: a function from the options, such as `skip`. If it throws, the request goes on, and a warning is emitted once. The warning
 * does not have the error's message, which may hold personal data.
 */
export class SiteCallback<R> {
  readonly #path: string;
  readonly #code: WarningCode;
  readonly #call: (req: unknown) => R;
  readonly #warnings = new Warnings(1);

  /**
   * @param path the option, such as `options.skip`
   * @param code the code of its warnings
   */
  constructor(path: string, code: WarningCode, call: (req: unknown) => R) {
    this.#path = path;
    this.#code = code;
    this.#call = call;
  }

  /** Calls a function that may be asynchronous. Returns `fallback` if it throws. */
  call<O>(req: unknown, fallback: O): R | O {
    try {
      return this.#call(req);
    } catch (error) {
      this.threw(error);
      return fallback;
    }
  }

  /**
   * Calls a function that must answer at once. Returns `fallback` if it throws, or returns a promise: taken for an answer, it
   * would be a truthy one, and its rejection would end the process.
   */
  callSync<O>(req: unknown, fallback: O): R | O {
    const answer = this.call(req, fallback);
    const promise = promisedBy(answer);
    if (promise === undefined) return answer;
    promise.catch(() => {});
    this.complain(' returned a promise, or what cannot be looked at; it must answer at once');
    return fallback;
  }

  /** Warns of an exception, or of the rejection of a promise that the function returned. */
  threw(error: unknown): void {
    this.complain(` threw: ${kindOfError(error)}`);
  }

  /** Warns, the first time only. */
  complain(problem: string): void {
    this.#warnings.warn(this.#code, `${this.#path}${problem}`);
  }
}
