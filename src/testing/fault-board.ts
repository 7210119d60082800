import { inspect } from 'node:util';
import { type AnswerFault, assertFault, assertScope, type Fault, type FaultHandle, type FaultScope } from './faults';
import type { OriginName } from './simulator-options';

/** What one call meets. */
export interface MetFaults {
  readonly latencyMs: number;
  readonly fault: AnswerFault | undefined;
  /** What the log names: the fault that took the answer's place, else whether there was a latency. */
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
  readonly #parseVisitor: (id: string) => string;

  /** `parseVisitor` says by which id the log names the visitor of an id. */
  constructor(parseVisitor: (id: string) => string) {
    this.#parseVisitor = parseVisitor;
  }

  /** @throws TypeError for a fault or scope that breaks its rules */
  set(fault: Fault, scope: FaultScope): FaultHandle {
    assertFault(fault);
    assertScope(scope);
    const entry: SetFault = { fault: { ...fault }, scope: { ...scope }, used: 0, cleared: false };
    if (scope.visitor !== undefined) entry.scope.visitor = this.#parseVisitor(scope.visitor);
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

  /** Uses up the faults that this arrival meets. A fault hidden behind a newer one is not used. */
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

  /** One line for each fault that no call met. */
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
