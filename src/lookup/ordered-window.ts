/**
 * Owns: processing the items of a source concurrently, with results in the order of the items and a bound on how many are
 * held. Generic: visitors are not known here. Next: lookup-many.ts.
 */
import { fieldsOf } from '../handed-over/reading';

/**
 * Starts the work on an item. `done` is called with its result, once; the function that is returned is called when the
 * result has left the window.
 */
export type StartWork<V, R> = (item: V, done: (result: R) => void) => () => void;

interface Slot<R> {
  release: () => void;
  /** `undefined` while the work is in progress. */
  result: R | undefined;
}

/** Reads up to `size` items of a source ahead, starts the work on each, and returns the results in order. */
export class OrderedWindow<V, R> {
  readonly #source: AsyncIterator<V> | Iterator<V>;
  readonly #size: number;
  readonly #start: StartWork<V, R>;
  #onResult: (result: R) => void;
  readonly #slots: Slot<R>[] = [];
  #isReading = false;
  /** No further item is read. */
  #isDone = false;
  #failure: { readonly reason: unknown; readonly isImmediate: boolean } | undefined;
  #wake: () => void = () => {};

  /**
   * @param onResult called with each result when it is available, in any order; if it throws, `next()` rejects with that
   */
  constructor(
    source: AsyncIterable<V> | Iterable<V>,
    size: number,
    start: StartWork<V, R>,
    onResult: (result: R) => void = () => {},
  ) {
    this.#size = size;
    this.#start = start;
    this.#onResult = onResult;
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  /** The next result, `undefined` at the end. If the source throws, the results of its earlier items come first. */
  async next(): Promise<R | undefined> {
    for (;;) {
      if (this.#failure?.isImmediate) throw this.#failure.reason;
      this.#read();
      const [first] = this.#slots;
      if (first === undefined && this.#failure !== undefined) throw this.#failure.reason;
      if (first === undefined && this.#isDone) return undefined;
      if (first?.result !== undefined) {
        this.#slots.shift();
        first.release();
        return first.result;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Makes `next()` reject at once, whatever is in progress. `onResult` is no longer called. */
  fail(reason: unknown): void {
    this.#failure = { reason, isImmediate: true };
    this.#isDone = true;
    this.#onResult = () => {};
    this.#wake();
  }

  /** Ends the source, unless it is exhausted. `onResult` is no longer called. */
  async close(): Promise<void> {
    const isExhausted = this.#isDone && this.#failure === undefined;
    this.#isDone = true;
    // Work that is aborted from now on has no result.
    this.#onResult = () => {};
    const returned = isExhausted ? undefined : this.#source.return?.();
    // Not awaited while a read is pending: that read, and so return(), may never settle.
    if (this.#isReading) Promise.resolve(returned).catch(() => {});
    else await returned;
  }

  #read(): void {
    if (this.#isReading || this.#isDone || this.#slots.length >= this.#size) return;
    this.#isReading = true;
    Promise.resolve()
      .then(() => this.#source.next())
      .then(
        (given) => {
          const step = fieldsOf(given, ['done', 'value']);
          if (step === undefined) {
            this.#failed(new TypeError('The next() of a source must give an object with done and value.'));
            return;
          }
          this.#isReading = false;
          if (this.#isDone) return;
          if (step.done) this.#isDone = true;
          else this.#add(step.value as V);
          this.#wake();
          this.#read();
        },
        (reason: unknown) => this.#failed(reason),
      );
  }

  /** The source has failed. The results of its earlier items still come. */
  #failed(reason: unknown): void {
    this.#isReading = false;
    this.#isDone = true;
    this.#failure ??= { reason, isImmediate: false };
    this.#wake();
  }

  #add(item: V): void {
    const slot: Slot<R> = { release: () => {}, result: undefined };
    this.#slots.push(slot);
    slot.release = this.#start(item, (result) => {
      slot.result = result;
      try {
        this.#onResult(result);
      } catch (reason) {
        this.fail(reason);
      }
      if (this.#slots[0] === slot) this.#wake();
    });
  }
}
