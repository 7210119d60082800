import { inspect } from 'node:util';
import { type AnswerFault, assertFault, assertScope, type Fault, type FaultHandle, type FaultScope } from './faults';
import type { OriginName } from './simulator-options';

/** The faults that a call meets. */
export interface MetFaults {
  readonly latencyMs: number;
  readonly fault: AnswerFault | undefined;
  /** For the log: the fault that replaced the answer, else `latency` if there was one. */
  readonly kind: Fault['kind'] | undefined;
}

interface Arrival {
  readonly region: OriginName;
  readonly visitor?: string;
}

interface SetFault {
  readonly fault: Fault;
  readonly scope: { -readonly [Key in keyof FaultScope]: FaultScope[Key] };
  used: number;
  cleared: boolean;
}

/** The faults that are set, oldest first. */
export class FaultBoard {
  #faults: SetFault[] = [];
  readonly #visitorOf: (id: string) => string;

  /** @param visitorOf the id by which the log names the visitor with this id */
  constructor(visitorOf: (id: string) => string) {
    this.#visitorOf = visitorOf;
  }

  /** @throws TypeError for a fault or scope that breaks its rules */
  set(fault: Fault, scope: FaultScope): FaultHandle {
    assertFault(fault);
    assertScope(scope);
    const entry: SetFault = { fault: { ...fault }, scope: { ...scope }, used: 0, cleared: false };
    if (scope.visitor !== undefined) entry.scope.visitor = this.#visitorOf(scope.visitor);
    this.#faults.push(entry);
    return {
      get used() {
        return entry.used;
      },
      clear() {
        entry.cleared = true;
      },
    };
  }

  /** Applies the faults that match an arrival. A fault that a newer one hides does not count as used. */
  meet(arrival: Arrival): MetFaults {
    let latencyMs = 0;
    let kind: Fault['kind'] | undefined;
    let newest: { entry: SetFault; fault: AnswerFault } | undefined;
    for (const entry of this.#faults.filter((candidate) => applies(candidate, arrival))) {
      const { fault } = entry;
      if (fault.kind !== 'latency') {
        newest = { entry, fault };
        continue;
      }
      entry.used += 1;
      latencyMs += fault.latencyMs;
      kind = 'latency';
    }
    if (newest) newest.entry.used += 1;
    return { latencyMs, fault: newest?.fault, kind: newest?.fault.kind ?? kind };
  }

  clear(): void {
    this.#faults = [];
  }

  /** One line per fault that no call met. */
  unused(): string[] {
    return this.#faults
      .filter(({ used }) => used === 0)
      .map(({ fault, scope }) => `${inspect(fault, INSPECT)} for ${inspect(scope, INSPECT)}`);
  }
}

const INSPECT = { breakLength: Infinity, maxStringLength: 60 };

function applies({ scope, used, cleared }: SetFault, arrival: Arrival): boolean {
  return (
    !cleared &&
    used < (scope.calls ?? Infinity) &&
    (scope.region ?? arrival.region) === arrival.region &&
    (scope.visitor ?? arrival.visitor) === arrival.visitor
  );
}
