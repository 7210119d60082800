/**
 * Owns: the order of many that are worked on at a time, and that no more of them are held than a window has. Generic: it
 * knows nothing of visitors. Next: lookup-many.ts.
 */

/** Work on one item. Its result never rejects; `leave` is called when the result has left the window. */
export interface Started<R> {
  readonly result: Promise<R>;
  readonly leave: () => void;
}

interface Waiting<R> {
  readonly leave: () => void;
  result: R | undefined;
}

/** Reads a source so far ahead and no further, and gives what is made of its items in their order. */
export class OrderedWindow<V, R> {
  readonly #source: AsyncIterator<V> | Iterator<V>;
  readonly #size: number;
  readonly #start: (item: V, tell: (result: R) => void) => Started<R>;
  #onResult: (result: R) => void;
  readonly #window: Waiting<R>[] = [];
  #isReading = false;
  #isOver = false;
  #failure: { readonly reason: unknown; readonly isImmediate: boolean } | undefined;
  #wake: () => void = () => {};

  constructor(
    source: AsyncIterable<V> | Iterable<V>,
    size: number,
    start: (item: V, tell: (result: R) => void) => Started<R>,
    onResult: (result: R) => void = () => {},
  ) {
    this.#size = size;
    this.#start = start;
    this.#onResult = onResult;
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  /** `undefined` at the end. Where the source fails, what it gave before comes first. */
  async next(): Promise<R | undefined> {
    for (;;) {
      if (this.#failure?.isImmediate) throw this.#failure.reason;
      this.#read();
      const [first] = this.#window;
      if (first === undefined && this.#failure !== undefined) throw this.#failure.reason;
      if (first === undefined && this.#isOver) return undefined;
      if (first?.result !== undefined) {
        this.#window.shift();
        first.leave();
        return first.result;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends it, whatever is on its way: nothing more is told. */
  fail(reason: unknown): void {
    this.#failure = { reason, isImmediate: true };
    this.#isOver = true;
    this.#onResult = () => {};
    this.#wake();
  }

  /** Nothing more is wanted of the source. */
  async close(): Promise<void> {
    const isExhausted = this.#isOver && this.#failure === undefined;
    this.#isOver = true;
    // That it was ended is no result.
    this.#onResult = () => {};
    // A source that is just being read, and may never go on, is told and not waited for.
    const told = isExhausted ? undefined : this.#source.return?.();
    if (!this.#isReading) await told;
  }

  #read(): void {
    if (this.#isReading || this.#isOver || this.#window.length >= this.#size) return;
    this.#isReading = true;
    Promise.resolve()
      .then(() => this.#source.next())
      .then(
        ({ done, value }) => {
          this.#isReading = false;
          if (this.#isOver) return;
          if (done) this.#isOver = true;
          else this.#add(value);
          this.#wake();
          this.#read();
        },
        (reason: unknown) => {
          this.#isReading = false;
          this.#isOver = true;
          this.#failure ??= { reason, isImmediate: false };
          this.#wake();
        },
      );
  }

  #tell(result: R): void {
    try {
      this.#onResult(result);
    } catch (reason) {
      this.fail(reason);
    }
  }

  #add(item: V): void {
    const { result, leave } = this.#start(item, (told) => this.#tell(told));
    const waiting: Waiting<R> = { leave, result: undefined };
    this.#window.push(waiting);
    result.then((settled) => {
      waiting.result = settled;
      if (this.#window[0] === waiting) this.#wake();
    });
  }
}
