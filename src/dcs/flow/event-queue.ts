/**
 * Owns: the events that wait to be sent: for room among the calls, for a server that is left alone to be called again, for
 * their turn among the calls about their visitor. They wait as long as they have to, but there are only so many; when there
 * are more, those go first that a flood would bring. Next: visitor-lane.ts, which decides whose turn it is.
 */
import type { DcsPublisher } from '../../channels/dcs-publisher';
import type { Call } from './call';
import type { Clock } from './clock';
import { LinkedQueue } from './linked-queue';
import type { OriginGate } from './origin-gate';

export interface EventQueueConfig {
  /** Events that wait to be sent at most. */
  readonly maxQueuedEvents: number;
}

/** What became of the events. */
export interface EventStats {
  /** Waiting to be sent. */
  readonly queued: number;
  /** Answered by the DCS. */
  readonly sent: number;
  /** Ended without an answer: the call failed, or was not made because the visitor withdrew consent or `close()` was called. */
  readonly failed: number;
  /** Never sent, because too many were waiting. */
  readonly dropped: number;
}

export interface EventGates {
  /** Of the visitor's region: by this one it waits. */
  readonly home: OriginGate;
  /** May be open while the other is closed. The same where none stands in. */
  readonly standIn: OriginGate;
  /** The one of the two by which it would go now. */
  readonly target: OriginGate;
}

/** What an event queue leaves to others. */
export interface EventHost {
  /** By which gates an event may go. */
  gatesFor(event: Call): EventGates;
  /** An event may be able to begin. Gives the turn in its visitor's lane, and with it {@link EventQueue.offer}s it. */
  advance(key: string): void;
  /** An event is dropped. */
  drop(event: Call): void;
}

/** The waiting events of one visitor, oldest first. */
interface Waiting {
  readonly events: LinkedQueue<Call>;
  /** Nothing was ever answered about this visitor: the id may be invented. */
  isStranger: boolean;
}

/** Visitors with the same number of waiting events. */
interface Group {
  readonly strangers: Set<Waiting>;
  readonly known: Set<Waiting>;
}

/** Events that have their visitor's turn as far as the lane goes, and wait for the gates of one region. */
interface Line {
  readonly events: LinkedQueue<Call>;
  /** Whether the lanes of all its events have been told that the gates are closed. */
  isHeld: boolean;
  timerAtMs: number;
  cancelTimer: (() => void) | undefined;
}

/** One visitor's flood must not fill the queue. */
const MAX_QUEUED_PER_VISITOR = 50;

export class EventQueue {
  readonly #config: EventQueueConfig;
  readonly #clock: Clock;
  readonly #host: EventHost;
  readonly #publisher: DcsPublisher | undefined;
  readonly #waiting = new Map<string, Waiting>();
  /** Visitors by the number of their waiting events. */
  readonly #byCount: readonly Group[] = Array.from({ length: MAX_QUEUED_PER_VISITOR + 2 }, () => ({
    strangers: new Set(),
    known: new Set(),
  }));
  readonly #places = new Map<Call, ReturnType<LinkedQueue<Call>['push']>>();
  readonly #lines = new Map<OriginGate, Line>();
  #queued = 0;
  #sent = 0;
  #failed = 0;
  #dropped = 0;
  #isPumping = false;
  #mustPumpAgain = false;

  /** @param publisher told of the end of each event */
  constructor(config: EventQueueConfig, clock: Clock, host: EventHost, publisher?: DcsPublisher) {
    this.#config = config;
    this.#clock = clock;
    this.#host = host;
    this.#publisher = publisher;
  }

  stats(): EventStats {
    return { queued: this.#queued, sent: this.#sent, failed: this.#failed, dropped: this.#dropped };
  }

  /** An event waits, until it has {@link left}. Others, or it itself, may be dropped for it. */
  add(event: Call, isStranger: boolean): void {
    const waiting = this.#waiting.get(event.key) ?? { events: new LinkedQueue<Call>(), isStranger };
    this.#waiting.set(event.key, waiting);
    this.#recount(waiting, () => this.#places.set(event, waiting.events.push(event)));
    this.#queued++;
    this.#dropSurplus(waiting);
  }

  /** An event that was sent and turned away waits again, before the others of its visitor. */
  addAgain(event: Call): void {
    const waiting = this.#waiting.get(event.key) ?? { events: new LinkedQueue<Call>(), isStranger: event.isStranger };
    this.#waiting.set(event.key, waiting);
    this.#recount(waiting, () => this.#places.set(event, waiting.events.unshift(event)));
    this.#queued++;
    this.#dropSurplus(waiting);
  }

  /** The DCS has answered about a visitor: the id is not invented. */
  answered(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting?.isStranger !== true) return;
    this.#recount(waiting, () => {
      waiting.isStranger = false;
    });
  }

  /** An event does not wait any more: it is sent, or will not be. */
  left(event: Call): void {
    this.#leaveLine(event);
    const waiting = this.#waiting.get(event.key);
    const place = this.#places.get(event);
    if (waiting === undefined || place === undefined) return;
    this.#places.delete(event);
    event.isStranger = waiting.isStranger;
    this.#queued--;
    this.#recount(waiting, () => waiting.events.remove(place));
    if (waiting.events.size === 0) this.#waiting.delete(event.key);
  }

  /** An event has ended. */
  ended(how: 'sent' | 'failed' | 'dropped'): void {
    if (how === 'sent') this.#sent++;
    else if (how === 'failed') this.#failed++;
    else this.#dropped++;
    this.#publisher?.event(how);
  }

  /** Whether an event whose visitor's turn it is may begin now. If not, its lane is advanced when that may have changed. */
  offer(event: Call): 'begin' | 'wait' | 'held' {
    const gates = this.#host.gatesFor(event);
    const { home, target } = gates;
    const line = this.#lineOf(home);
    const isFirst = line.events.size === 0 || line.events.first === event;
    const isOpen = target.closedBecause === undefined;
    if (isOpen && isFirst && target.hasRoomForEvent) {
      this.#leaveLine(event);
      return 'begin';
    }
    if (event.place === undefined) event.place = line.events.push(event);
    // Also while it waits for room at a stand-in: its own region may be open sooner.
    this.#setTimer(line, gates);
    if (!isOpen) return 'held';
    line.isHeld = false;
    return 'wait';
  }

  /** Something has changed at a gate. */
  pump(): void {
    if (this.#isPumping) {
      this.#mustPumpAgain = true;
      return;
    }
    this.#isPumping = true;
    do {
      this.#mustPumpAgain = false;
      for (const line of this.#lines.values()) this.#pumpLine(line);
    } while (this.#mustPumpAgain);
    this.#isPumping = false;
  }

  #pumpLine(line: Line): void {
    for (;;) {
      const first = line.events.first;
      if (first === undefined) break;
      const gates = this.#host.gatesFor(first);
      const { target } = gates;
      if (target.closedBecause !== undefined) {
        // Lookups that wait behind these events in their visitors' lanes may overtake them now.
        const wasHeld = line.isHeld;
        line.isHeld = true;
        if (!wasHeld) for (const event of [...line.events]) this.#host.advance(event.key);
        this.#setTimer(line, gates);
        return;
      }
      line.isHeld = false;
      if (!target.hasRoomForEvent) {
        this.#setTimer(line, gates);
        return;
      }
      this.#host.advance(first.key);
      // Another call about the visitor has the turn: the event is offered again when that is over.
      if (line.events.first === first) this.#leaveLine(first);
    }
    this.#cancelTimer(line);
  }

  #lineOf(home: OriginGate): Line {
    const present = this.#lines.get(home);
    if (present !== undefined) return present;
    const line: Line = { events: new LinkedQueue(), isHeld: false, timerAtMs: 0, cancelTimer: undefined };
    this.#lines.set(home, line);
    return line;
  }

  #leaveLine(event: Call): void {
    const { place } = event;
    if (place === undefined) return;
    event.place = undefined;
    for (const line of this.#lines.values()) {
      if (!line.events.remove(place)) continue;
      if (line.events.size === 0) this.#cancelTimer(line);
      return;
    }
  }

  /** Where a probe decides, there is nothing to wait for by the clock: its end is announced as a change of its gate. */
  #setTimer(line: Line, { home, standIn }: EventGates): void {
    const waits = [home.opensInMs, standIn.opensInMs].filter((waitMs) => waitMs > 0);
    if (waits.length === 0) return;
    const waitMs = Math.min(...waits);
    const atMs = this.#clock.nowMs() + waitMs;
    if (line.cancelTimer !== undefined && line.timerAtMs <= atMs) return;
    this.#cancelTimer(line);
    const fire = () => {
      line.cancelTimer = undefined;
      this.pump();
    };
    line.timerAtMs = atMs;
    line.cancelTimer = this.#clock.after(waitMs, fire, false);
  }

  #cancelTimer(line: Line): void {
    line.cancelTimer?.();
    line.cancelTimer = undefined;
  }

  #recount(waiting: Waiting, change: () => void): void {
    this.#group(waiting).delete(waiting);
    change();
    if (waiting.events.size > 0) this.#group(waiting).add(waiting);
  }

  #group({ events, isStranger }: Waiting): Set<Waiting> {
    const { strangers, known } = this.#byCount[events.size] as Group;
    return isStranger ? strangers : known;
  }

  /** The visitor with the most waiting events; of several one about whom nothing was ever answered, then the oldest. */
  #mostCrowded(): Waiting {
    for (let count = this.#byCount.length - 1; count > 0; count--) {
      const { strangers, known } = this.#byCount[count] as Group;
      const { value } = (strangers.size > 0 ? strangers : known).values().next();
      if (value !== undefined) return value;
    }
    throw new Error('unreachable: no event is waiting');
  }

  #dropSurplus(latest: Waiting): void {
    if (latest.events.size > MAX_QUEUED_PER_VISITOR) this.#dropOldest(latest);
    else if (this.#queued > this.#config.maxQueuedEvents) this.#dropOldest(this.#mostCrowded());
  }

  #dropOldest({ events }: Waiting): void {
    const oldest = events.first;
    if (oldest === undefined) return;
    this.left(oldest);
    this.#host.drop(oldest);
  }
}
