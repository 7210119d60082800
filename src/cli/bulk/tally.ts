import { performance } from 'node:perf_hooks';
import { print, printJson } from '../command';
import type { Outcome } from './rows';

/** What became of the rows of this run. */
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

  print(stream: NodeJS.WritableStream, json: boolean): void {
    const seconds = Math.round((performance.now() - this.#beganAtMs) / 100) / 10;
    const [statuses, errors] = [Object.fromEntries(this.#statuses), Object.fromEntries(this.#errors)];
    if (json) {
      printJson(stream, { rows: this.#rows, failed: this.failed, seconds, statuses, errors });
      return;
    }
    print(stream, `${this.#rows} rows in ${seconds} s, ${this.failed} failed`);
    for (const [status, rows] of this.#statuses) print(stream, `  ${rows} ${status}`);
    for (const [code, rows] of this.#errors) print(stream, `  ${rows} ${code}: ${HINTS[code] ?? 'see the README'}`);
  }
}

const AGAIN = 'run these rows again later';
const HINTS: Readonly<Record<string, string>> = {
  ERR_AAM_INVALID_OPTION:
    'the row names no visitor that could be asked about: 38 digits, or a customer id with its source',
  ERR_AAM_DCS_TIMEOUT: `no answer in time; ${AGAIN}, or with a longer dcs.timeoutMs`,
  ERR_AAM_DCS_NETWORK: `the DCS could not be reached; ${AGAIN}`,
  ERR_AAM_DCS_STATUS: `the DCS answered with an HTTP error; ${AGAIN}`,
  ERR_AAM_DCS_REPLY: 'the DCS answered what is no answer; is there a proxy between?',
  ERR_AAM_DCS_REJECTED: "the DCS had nothing to say, or a configuration error: 'aam-segments doctor'",
  ERR_AAM_DCS_CIRCUIT_OPEN: `too many calls failed for too long; ${AGAIN}`,
};

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
