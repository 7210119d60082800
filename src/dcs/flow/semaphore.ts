import { LinkedQueue, type QueuePlace } from './linked-queue';

/** So many at a time. The rest wait in their order; giving up while waiting takes constant time and no permit. */
export class Semaphore {
  readonly #permits: number;
  readonly #waiting = new LinkedQueue<() => void>();
  #held = 0;

  constructor(permits: number) {
    this.#permits = permits;
  }

  /** Calls back with a permit, now or later. It is given back by {@link release}. */
  acquire(acquired: () => void): QueuePlace<() => void> | undefined {
    if (this.#held >= this.#permits) return this.#waiting.push(acquired);
    this.#held++;
    acquired();
    return undefined;
  }

  /** Gives up waiting. False when the permit has been handed over already. */
  giveUp(place: QueuePlace<() => void>): boolean {
    return this.#waiting.remove(place);
  }

  /** Gives a permit back: to the next one that waits. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#held--;
    else next();
  }
}
