/**
 * Owns: the chaos suite, which lets visitors browse a site while its DCS fails in every way, and returns a report. Next:
 * chaos-verdicts.ts, which checks it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { ORG } from '../helpers/site';
import type { Page, SiteReport, SiteSetup } from './chaos-site';
import {
  ANONYMOUS,
  type ChaosVisitor,
  isOptedOut,
  KNOWN,
  knownVisitors,
  optedOutVisitors,
  sorted,
  strangerOf,
} from './chaos-visitors';
import { ORIGINS, seeded, setWeather } from './chaos-weather';

export const MAX_WAIT_MS = 150;
const CONNECTIONS = 16;
const CLIENTS = 24;
const SPELL_MS = 250;

export interface ChaosPlan {
  readonly seconds: number;
  readonly seed: number;
  readonly express: 'express' | 'express4';
}

export interface ChaosReport {
  readonly requests: number;
  /** Calls by fault; `none` for those without. */
  readonly faults: Readonly<Record<string, number>>;
  /** Pages by status and reason. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly serverErrors: number;
  /** Pages with segments that the visitor is not in, or without some that they are in. */
  readonly wrongSegments: readonly string[];
  /** Calls about visitors who opted out. */
  readonly callsAboutOptedOut: number;
  /** Calls that arrived while another one for the same visitor was in flight. */
  readonly overlaps: number;
  readonly heldMs: readonly number[];
  /** Time of the idle route beyond its own wait. */
  readonly idleExtraMs: readonly number[];
  readonly heapAfterWarmUpBytes: number;
  readonly heapAtEndBytes: number;
  readonly dcsSockets: number;
  readonly maxDcsSockets: number;
  /** How the site's process ended, if it crashed, as after an unhandled rejection. */
  readonly crash: string | undefined;
}

export async function runChaos({ seconds, seed, express }: ChaosPlan): Promise<ChaosReport> {
  const simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  const site = await startSite({ express, idleMs: MAX_WAIT_MS, aam: optionsFor(simulator) });
  const pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CLIENTS });
  const random = seeded(seed);
  const tally = new Tally();
  const visitors = knownVisitors(simulator);
  const optedOut = optedOutVisitors(simulator);
  let strangers = 0;

  const draw = (): ChaosVisitor => {
    const dice = random();
    if (dice < 0.05) return strangerOf(strangers++);
    if (dice < 0.08) return optedOut[Math.floor(random() * optedOut.length)] as ChaosVisitor;
    if (dice < 0.1) return ANONYMOUS;
    return visitors[Math.floor(random() * KNOWN)] as ChaosVisitor;
  };
  const visit = async () => {
    if (random() < 0.2) {
      const { statusCode, body } = await pool.request({ path: '/idle', method: 'GET' });
      tally.idle(statusCode, ((await body.json()) as Page).heldMs - MAX_WAIT_MS);
      return;
    }
    const visitor = draw();
    const { statusCode, body } = await pool.request({
      path: '/page',
      method: 'GET',
      headers: { cookie: visitor.cookie },
    });
    tally.page(visitor, statusCode, await body.text());
  };

  const endsAtMs = performance.now() + seconds * 1_000;
  const isOver = () => performance.now() >= endsAtMs || site.crash() !== undefined;
  let heapAfterWarmUpBytes = 0;
  const client = async () => {
    while (!isOver()) {
      await visit().catch((error: Error) => tally.broken(error));
      // Pauses between page views, or the run would measure an overloaded machine.
      await new Promise((resolve) => setTimeout(resolve, random() * 20));
    }
  };
  const weather = async () => {
    const warmAtMs = performance.now() + (endsAtMs - performance.now()) / 3;
    for (let n = 0; !isOver(); n++) {
      setWeather(simulator, n, random);
      await new Promise((resolve) => setTimeout(resolve, SPELL_MS));
      tally.calls(simulator);
      simulator.clear();
      if (heapAfterWarmUpBytes === 0 && performance.now() > warmAtMs)
        heapAfterWarmUpBytes = (await site.report()).heapBytes;
    }
  };
  await Promise.all([weather(), ...Array.from({ length: CLIENTS }, client)]);

  const end = site.crash() === undefined ? await settledReport(site) : undefined;
  const crash = site.crash();
  await pool.close();
  await site.stop();
  await simulator.close({ unusedFaults: 'ignore' });
  return {
    ...tally.report,
    heapAfterWarmUpBytes,
    heapAtEndBytes: end?.heapBytes ?? 0,
    dcsSockets: end?.dcsSockets ?? 0,
    maxDcsSockets: CONNECTIONS * ORIGINS.length,
    crash,
  };
}

/** Short times, so that everything happens within a minute. */
function optionsFor(simulator: DcsSimulator): SiteSetup['aam'] {
  return {
    orgId: ORG,
    partner: 'acme',
    maxWaitMs: MAX_WAIT_MS,
    cache: { ttlMs: 500, staleWhileRevalidateMs: 1_000, staleIfErrorMs: 3_000, emptyTtlMs: 300 },
    dcs: {
      ...simulator.dcs,
      timeoutMs: 400,
      connections: CONNECTIONS,
      failureCooldownMs: 200,
      breaker: { windowMs: 2_000, probeAfterMs: 500 },
    },
  };
}

interface Site {
  readonly port: number;
  report(): Promise<SiteReport>;
  crash(): string | undefined;
  stop(): Promise<void>;
}

async function startSite(setup: SiteSetup): Promise<Site> {
  let crash: string | undefined;
  let isStopping = false;
  const child: ChildProcess = fork(join(__dirname, 'chaos-site.ts'), [JSON.stringify(setup)], {
    execArgv: ['--import', 'tsx', '--expose-gc', '--unhandled-rejections=strict'],
  });
  child.on('exit', (code, signal) => {
    if (!isStopping) crash = `exit code ${code}, signal ${signal}`;
  });
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    crash: () => crash,
    async report() {
      child.send('report');
      const [report] = (await once(child, 'message')) as [SiteReport];
      return report;
    },
    async stop() {
      isStopping = true;
      if (crash !== undefined) return;
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

/** The report once no call is in flight. */
async function settledReport(site: Site): Promise<SiteReport> {
  for (;;) {
    const report = await site.report();
    if (report.stats.inFlight === 0) return report;
  }
}

class Tally {
  readonly #faults: Record<string, number> = {};
  readonly #statuses: Record<string, number> = {};
  readonly #wrong: string[] = [];
  readonly #heldMs: number[] = [];
  readonly #idleExtraMs: number[] = [];
  #requests = 0;
  #serverErrors = 0;
  #callsAboutOptedOut = 0;
  #overlaps = 0;

  page({ truth }: ChaosVisitor, statusCode: number, text: string): void {
    this.#count(statusCode);
    if (statusCode !== 200) return;
    const { status, reason, ids, heldMs }: Page = JSON.parse(text);
    const label = reason === undefined ? status : `${status}/${reason}`;
    this.#statuses[label] = (this.#statuses[label] ?? 0) + 1;
    this.#heldMs.push(heldMs);
    const isKnown = status === 'fresh' || status === 'cached' || status === 'stale';
    const served = sorted(ids);
    if (served !== (isKnown ? truth : '')) this.#wrong.push(`${label}: [${served}] for [${truth ?? 'none'}]`);
  }

  idle(statusCode: number, extraMs: number): void {
    this.#count(statusCode);
    this.#idleExtraMs.push(extraMs);
  }

  /** A request without a response. */
  broken(error: Error): void {
    this.#count(599);
    this.#wrong.push(`no page: ${error.message}`);
  }

  calls(simulator: DcsSimulator): void {
    for (const { fault = 'none', visitor } of simulator.requests) {
      this.#faults[fault] = (this.#faults[fault] ?? 0) + 1;
      if (isOptedOut(visitor)) this.#callsAboutOptedOut++;
    }
    this.#overlaps += simulator.overlaps.length;
  }

  get report() {
    return {
      requests: this.#requests,
      faults: this.#faults,
      statuses: this.#statuses,
      serverErrors: this.#serverErrors,
      wrongSegments: this.#wrong,
      callsAboutOptedOut: this.#callsAboutOptedOut,
      overlaps: this.#overlaps,
      heldMs: this.#heldMs,
      idleExtraMs: this.#idleExtraMs,
    };
  }

  #count(statusCode: number): void {
    this.#requests++;
    if (statusCode >= 500) this.#serverErrors++;
  }
}
