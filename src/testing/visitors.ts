import { createHash } from 'node:crypto';
import { RateWindow, type RateWindowLimit } from './rate-window';

/** An item of `stuff`, as on the wire (AAM docs, Receive Data From the DCS). */
export interface StuffItem {
  readonly cn: string;
  readonly cv: string;
  readonly ttl: number;
  readonly dmn: string;
}

/** The state of one visitor at the DCS. */
export class VisitorProfile {
  /** The id by which the visitor was first named. */
  readonly id: string;
  readonly segments = new Set<number>();
  readonly destinations = new Map<string, StuffItem>();
  /** Overrides the derived UUID in answers. */
  answeredUuid: string | undefined;
  optedOut = false;
  denylisted = false;
  failureCode: number | undefined;
  readonly #rate: RateWindow;

  constructor(id: string, denylistAfter: RateWindowLimit | false) {
    this.id = id;
    this.#rate = new RateWindow(denylistAfter);
  }

  /** Ids that are sent unusually often are permanently denylisted (AAM docs, ID Monitoring and Denylisting). */
  countCall(): void {
    if (!this.#rate.take()) this.denylisted = true;
  }
}

/** All visitors. An unknown one is created on first use, in no segment. */
export class VisitorBook {
  readonly #denylistAfter: RateWindowLimit | false;
  readonly #byId = new Map<string, VisitorProfile>();
  readonly #byUuid = new Map<string, VisitorProfile>();

  constructor(denylistAfter: RateWindowLimit | false) {
    this.#denylistAfter = denylistAfter;
  }

  /** Finds a visitor by either id: the UUID that was returned for an ECID names the same visitor. */
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

/** Adobe maps ECIDs to UUIDs by an unpublished function. This one is deterministic, too. */
export function uuidFor(id: string): string {
  const digest = createHash('sha256').update(id).digest('hex');
  return (BigInt(`0x${digest}`) % 10n ** 38n).toString().padStart(38, '0');
}
