/** What holds for one server: its breaker, its pauses, its probes. */
import type { OriginStats } from '../../src/dcs/flow/origin-gate';
import { must } from './broken-rule';
import type { Coverage } from './coverage';
import type { Meaning } from './dcs-outcomes';
import type { WireResult } from './fake-transport';
import type { Limits } from './limits';
import type { RecordedCall } from './recorded-calls';

const LONGEST_PAUSE_MS = 600_000;
/** The shortest pause after a 429 that does not say how long. */
const SHORTEST_PAUSE_MS = 500;

export interface OriginTime {
  nowMs(): number;
  /** Whether what close() waits for has had its time. */
  readonly isEnding: boolean;
}

export class OriginRules {
  readonly #limits: Limits;
  readonly #coverage: Coverage;
  readonly #statsOf: () => OriginStats | undefined;
  readonly #time: OriginTime;
  /** All on the wire, and the events among them. */
  running = 0;
  runningEvents = 0;
  /** The call that tries the server while its breaker is open. */
  probe: RecordedCall | undefined;
  #state: OriginStats['breaker'] = 'closed';
  #openedAtMs = 0;
  #pausedUntilMs = 0;
  #hasFailed = false;

  constructor(limits: Limits, coverage: Coverage, statsOf: () => OriginStats | undefined, time: OriginTime) {
    this.#limits = limits;
    this.#coverage = coverage;
    this.#statsOf = statsOf;
    this.#time = time;
  }

  get stats(): OriginStats {
    return this.#statsOf() ?? { breaker: 'closed', running: 0, queued: 0, pausedForMs: 0 };
  }

  /** Whether no call may begin now, however much room there is. */
  get isShut(): boolean {
    return this.#time.nowMs() < this.opensAtMs || this.#state === 'half-open';
  }

  get isBreakerShut(): boolean {
    return this.#state === 'half-open' || (this.#state === 'open' && this.#time.nowMs() < this.#probesAtMs);
  }

  /** As far as the clock decides. */
  get opensAtMs(): number {
    return Math.max(this.#pausedUntilMs, this.#state === 'open' ? this.#probesAtMs : 0);
  }

  get hasRoomForEvent(): boolean {
    const { connections } = this.#limits;
    return this.running < connections && this.runningEvents < Math.ceil(connections / 2) && this.stats.queued === 0;
  }

  sending(record: RecordedCall): void {
    this.running++;
    if (record.kind === 'event') this.runningEvents++;
    if (record.kind === 'opt-out') return;
    const { connections } = this.#limits;
    must(this.running <= connections, 'no more calls run than there are connections', () => String(record));
    if (this.running === connections) this.#coverage.count('limit: all connections in use');
    must(this.#time.nowMs() >= this.#pausedUntilMs, 'nothing is sent to a server that is paused', () => String(record));
    const { breaker } = this.stats;
    if (this.#state === 'closed') {
      must(breaker === 'closed', 'a breaker changes only by what a call shows', () => `${breaker} at ${record}`);
      return;
    }
    must(this.probe === undefined, 'one probe at a time', () => `${record} beside ${this.probe}`);
    must(this.#time.nowMs() >= this.#probesAtMs, 'an open breaker lets nothing through before its time', () =>
      String(record),
    );
    must(breaker === 'half-open', 'a call to a server whose breaker is open is a probe', () => `${breaker}, ${record}`);
    this.#state = 'half-open';
    this.probe = record;
    this.#coverage.count('limit: probe');
  }

  settling(record: RecordedCall, { health }: Meaning, result: WireResult): void {
    if ('reason' in result && result.reason === 'rate-limited') {
      const nowMs = this.#time.nowMs();
      // Calls that ran together are all told so: that is one reason to pause.
      const shortestMs = nowMs < this.#pausedUntilMs ? 0 : SHORTEST_PAUSE_MS;
      const askedMs = Math.min(result.retryAfterMs ?? shortestMs, LONGEST_PAUSE_MS);
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + askedMs);
      this.#coverage.count('limit: paused');
    }
    this.#ended(record, health);
  }

  /** It has ended without having shown anything. */
  givenUp(record: RecordedCall): void {
    if (record === this.probe) this.#coverage.count('limit: neutral probe');
    this.#ended(record, 'neutral');
  }

  released(record: RecordedCall): void {
    this.running--;
    if (record.kind === 'event') this.runningEvents--;
  }

  /** What has come of it. */
  look(): void {
    const { breaker, pausedForMs } = this.stats;
    const nowMs = this.#time.nowMs();
    must(pausedForMs >= this.#pausedUntilMs - nowMs, 'a server that is rate limiting is paused as long as it asks for');
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pausedForMs);
    this.noticeOpening();
    // What close() ends then it ends without a word.
    if (this.#time.isEnding) return;
    must(
      breaker === this.#state,
      'the breaker is as its calls have shown',
      () => `${breaker} instead of ${this.#state}`,
    );
    this.#hasFailed = false;
  }

  /** It may have opened just now, before anything else is done. */
  noticeOpening(): void {
    if (this.#state !== 'closed' || this.stats.breaker !== 'open') return;
    must(this.#hasFailed, 'a breaker opens by a failure only');
    this.#state = 'open';
    this.#openedAtMs = this.#time.nowMs();
    this.#coverage.count('limit: breaker opened');
  }

  #ended(record: RecordedCall, health: Meaning['health']): void {
    if (health === 'failure') this.#hasFailed = true;
    if (record !== this.probe) return;
    this.probe = undefined;
    this.#state = health === 'success' ? 'closed' : 'open';
    if (health === 'failure') this.#openedAtMs = this.#time.nowMs();
    this.#coverage.count(`probe: ${health}`);
  }

  get #probesAtMs(): number {
    const { breaker } = this.#limits;
    return breaker === false ? 0 : this.#openedAtMs + breaker.probeAfterMs;
  }
}
