import { createHash } from 'node:crypto';
import { RateWindow, type RateWindowLimit } from './rate-window';

/** An item of `stuff`, in the names of the wire (AAM docs, Receive Data From the DCS). */
export interface StuffItem {
  readonly cn: string;
  readonly cv: string;
  readonly ttl: number;
  readonly dmn: string;
}

/** What the DCS knows about one visitor. */
export class VisitorProfile {
  /** The id that the visitor was first named by. */
  readonly id: string;
  readonly segments = new Set<number>();
  readonly destinations = new Map<string, StuffItem>();
  /** Answered instead of the derived UUID. */
  answeredUuid: string | undefined;
  optedOut = false;
  denylisted = false;
  failureCode: number | undefined;
  readonly #rate: RateWindow;

  constructor(id: string, denylistAfter: RateWindowLimit | false) {
    this.id = id;
    this.#rate = new RateWindow(denylistAfter);
  }

  /** Ids sent unusually often are denylisted, and never removed again (AAM docs, ID Monitoring and Denylisting). */
  countCall(): void {
    if (!this.#rate.take()) this.denylisted = true;
  }
}

/** All visitors; one that nobody told it about is made on the spot and is in no segment. */
export class VisitorBook {
  readonly #denylistAfter: RateWindowLimit | false;
  readonly #byId = new Map<string, VisitorProfile>();
  readonly #byUuid = new Map<string, VisitorProfile>();

  constructor(denylistAfter: RateWindowLimit | false) {
    this.#denylistAfter = denylistAfter;
  }

  /** By either id: a call with the UUID that was answered for an ECID is about the same visitor. */
  find(id: string): VisitorProfile {
    const found = this.#byId.get(id) ?? this.#byUuid.get(id);
    if (found) return found;
    const profile = new VisitorProfile(id, this.#denylistAfter);
    this.#byId.set(id, profile);
    this.#byUuid.set(uuidFor(id), profile);
    return profile;
  }

  setUuid(profile: VisitorProfile, uuid: string): void {
    profile.answeredUuid = uuid;
    this.#byUuid.set(uuid, profile);
  }
}

/** Adobe derives an ECID and a UUID from each other by a function it keeps to itself; this one is as repeatable. */
export function uuidFor(id: string): string {
  const digest = createHash('sha256').update(id).digest('hex');
  return (BigInt(`0x${digest}`) % 10n ** 38n).toString().padStart(38, '0');
}
