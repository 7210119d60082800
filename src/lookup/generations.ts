/**
 * Owns: what is out of date. Everything that makes earlier answers about a visitor worthless (a withdrawal of consent, an
 * opt-out, `forget()`, an event) starts a new generation of that visitor; what was asked before it is neither stored nor
 * served to a later request, and after a withdrawal nothing that an earlier request wants is asked or told.
 */

interface Mark {
  /** Since when answers are up to date. */
  readonly answersFrom: number;
  /** Since when requests may ask and tell. */
  readonly requestsFrom: number;
}

const NEVER: Mark = { answersFrom: 0, requestsFrom: 0 };
const MAX_MARKS = 100_000;

export class Generations {
  readonly #maxMarks: number;
  /** By visitor key, the latest last. */
  readonly #marks = new Map<string, Mark>();
  /** Takes the place of marks that were dropped: what is older counts as out of date, whomever it is about. */
  #floor: Mark = NEVER;
  #now = 1;

  constructor(maxMarks = MAX_MARKS) {
    this.#maxMarks = maxMarks;
  }

  /** The moment, as a number to compare later ones with. */
  get now(): number {
    return this.#now;
  }

  /** Begins a new generation of nobody in particular. @returns its number */
  next(): number {
    return ++this.#now;
  }

  /** Answers about this visitor that were asked for before now are out of date. */
  renew(key: string): void {
    this.#mark(key, { answersFrom: ++this.#now, requestsFrom: this.#marks.get(key)?.requestsFrom ?? 0 });
  }

  /** So are they, and requests from before now must not ask or tell anything about this visitor any more. */
  withdraw(key: string): void {
    const now = ++this.#now;
    this.#mark(key, { answersFrom: now, requestsFrom: now });
  }

  /** Whether an answer about a visitor with these keys is out of date that was asked for then. */
  isOutdated(keys: readonly string[], askedAt: number): boolean {
    return keys.some((key) => askedAt < this.#markOf(key).answersFrom);
  }

  /** Whether a visitor with these keys has withdrawn consent since a request came. */
  isWithdrawn(keys: readonly string[], requestedAt: number): boolean {
    return keys.some((key) => requestedAt < this.#markOf(key).requestsFrom);
  }

  #markOf(key: string): Mark {
    const { answersFrom, requestsFrom } = this.#marks.get(key) ?? NEVER;
    return {
      answersFrom: Math.max(answersFrom, this.#floor.answersFrom),
      requestsFrom: Math.max(requestsFrom, this.#floor.requestsFrom),
    };
  }

  #mark(key: string, mark: Mark): void {
    this.#marks.delete(key);
    this.#marks.set(key, mark);
    if (this.#marks.size <= this.#maxMarks) return;
    const [oldestKey, oldest] = this.#marks.entries().next().value as [string, Mark];
    this.#marks.delete(oldestKey);
    this.#floor = {
      answersFrom: Math.max(this.#floor.answersFrom, oldest.answersFrom),
      requestsFrom: Math.max(this.#floor.requestsFrom, oldest.requestsFrom),
    };
  }
}
