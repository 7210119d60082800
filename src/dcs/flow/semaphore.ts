import { LinkedQueue, type QueuePlace } from './linked-queue';

/** So many at a time. The rest wait in their order; giving up while waiting takes constant time and no permit. */
export class Semaphore {
  readonly #waiting = new LinkedQueue<() => void>();
  #free: number;
  #isHandingOver = false;

  constructor(permits: number) {
    this.#free = permits;
  }

  /** Calls back with a permit, now or later. It is given back by {@link release}. */
  acquire(acquired: () => void): QueuePlace<() => void> {
    const place = this.#waiting.push(acquired);
    this.#handOver();
    return place;
  }

  /** Gives up waiting. False when the permit has been handed over already. */
  giveUp(place: QueuePlace<() => void>): boolean {
    return this.#waiting.remove(place);
  }

  /** Gives a permit back. */
  release(): void {
    this.#free++;
    this.#handOver();
  }

  /** Not recursive: thousands may be waiting that give their permit back at once. */
  #handOver(): void {
    if (this.#isHandingOver) return;
    this.#isHandingOver = true;
    while (this.#free > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#free--;
      next();
    }
    this.#isHandingOver = false;
  }
}
