/** A place in a {@link LinkedQueue}. */
export interface QueuePlace<T> {
  readonly value: T;
}

interface Node<T> extends QueuePlace<T> {
  previous: Node<T> | undefined;
  next: Node<T> | undefined;
  /** The queue that it is in. */
  queue: LinkedQueue<T> | undefined;
}

/**
 * First in, first out; and whoever gives up leaves from the middle in constant time, however many are waiting.
 */
export class LinkedQueue<T> {
  #first: Node<T> | undefined;
  #last: Node<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  push(value: T): QueuePlace<T> {
    const node: Node<T> = { value, previous: this.#last, next: undefined, queue: this };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size++;
    return node;
  }

  /** At the head: for what has had its turn and needs another. */
  unshift(value: T): QueuePlace<T> {
    const node: Node<T> = { value, previous: undefined, next: this.#first, queue: this };
    if (this.#first === undefined) this.#last = node;
    else this.#first.previous = node;
    this.#first = node;
    this.#size++;
    return node;
  }

  shift(): T | undefined {
    const first = this.#first;
    if (first === undefined) return undefined;
    this.remove(first);
    return first.value;
  }

  /** False when it has left already. */
  remove(place: QueuePlace<T>): boolean {
    const node = place as Node<T>;
    if (node.queue !== this) return false;
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.queue = undefined;
    node.previous = undefined;
    node.next = undefined;
    this.#size--;
    return true;
  }

  /** In their order. What is visited may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let node = this.#first; node !== undefined; ) {
      const { value, next } = node;
      yield value;
      node = next;
    }
  }
}
