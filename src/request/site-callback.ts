/**
 * A function of the site's own that is called with each request. It may throw: then the site goes on, and it is said
 * once, without the message, which may hold what the site knows of the visitor.
 */
export class SiteCallback<R> {
  readonly #path: string;
  readonly #code: string;
  readonly #call: (req: unknown) => R;
  #hasWarned = false;

  /** @param path of the option, as in `options.skip`, for the warning `code` */
  constructor(path: string, code: string, call: (req: unknown) => R) {
    this.#path = path;
    this.#code = code;
    this.#call = call;
  }

  /** What it returns; `otherwise` where it throws. */
  call<O>(req: unknown, otherwise: O): R | O {
    try {
      return this.#call(req);
    } catch (error) {
      this.threw(error);
      return otherwise;
    }
  }

  /** For one whose promise was rejected. */
  threw(error: unknown): void {
    this.complain(` threw: ${error instanceof Error ? error.name : typeof error}`);
  }

  complain(problem: string): void {
    if (!this.#hasWarned) process.emitWarning(`${this.#path}${problem}`, { code: this.#code });
    this.#hasWarned = true;
  }
}
