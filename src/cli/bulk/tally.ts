/** Owns: the summary at the end of a `bulk` run: rows by status and by error, with a hint for each error. */
import { performance } from 'node:perf_hooks';
import { print, printJson } from '../printer';
import type { Outcome } from './rows';

export class Tally {
  readonly #beganAtMs = performance.now();
  readonly #statuses = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  #rows = 0;
  failed = 0;

  add({ status, reason, error }: Outcome): void {
    this.#rows++;
    if (error === '') count(this.#statuses, reason === '' ? status : `${status}: ${reason}`);
    else {
      this.failed++;
      count(this.#errors, error);
    }
  }

  /** @param before rows that an interrupted run had written */
  print(stream: NodeJS.WritableStream, json: boolean, before: number): void {
    const seconds = Math.round((performance.now() - this.#beganAtMs) / 100) / 10;
    const [statuses, errors] = [Object.fromEntries(this.#statuses), Object.fromEntries(this.#errors)];
    if (json) {
      printJson(stream, { rows: this.#rows, rowsBefore: before, failed: this.failed, seconds, statuses, errors });
      return;
    }
    const after = before === 0 ? '' : `, after ${before} rows of the interrupted run`;
    print(stream, `${this.#rows} rows in ${seconds} s, ${this.failed} failed${after}`);
    for (const [status, rows] of this.#statuses) print(stream, `  ${rows} ${status}`);
    for (const [code, rows] of this.#errors)
      print(stream, `  ${rows} ${code}: ${HINTS[code] ?? 'see docs/troubleshooting.md'}`);
  }
}

const RETRY = 'run these rows again later';
const HINTS: Readonly<Record<string, string>> = {
  ERR_AAM_INVALID_OPTION:
    'the row names no valid visitor: an ECID or UUID of 38 digits, or a customer id with its data source (--source)',
  ERR_AAM_DCS_TIMEOUT: `no answer within dcs.timeoutMs; ${RETRY}, or raise it`,
  ERR_AAM_DCS_NETWORK: `the DCS cannot be reached; ${RETRY}`,
  ERR_AAM_DCS_STATUS: `HTTP error from the DCS; ${RETRY}`,
  ERR_AAM_DCS_REPLY: 'the answer is not one of a DCS; check for a proxy in between',
  ERR_AAM_DCS_REJECTED: "the DCS rejected the call; run 'aam-segments doctor' to check the account",
  ERR_AAM_DCS_CIRCUIT_OPEN: `circuit breaker open for too long; ${RETRY}`,
};

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
