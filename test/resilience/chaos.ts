/**
 * Owns: the chaos suite, which lets visitors browse a site, do things, refuse and opt out while its DCS fails in every way, and
 * returns a report. Next: chaos-verdicts.ts, which checks it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createDcsSimulator, type DcsRequest, type DcsSimulator } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { ORG } from '../helpers/site';
import { type LoggedCall, loggedCall, type OptOut, type Withdrawal } from './chaos-calls';
import type { DeskAnswer, Page, SiteReport, SiteSetup } from './chaos-site';
import {
  ANONYMOUS,
  type ChaosVisitor,
  isOptedOut,
  knownVisitors,
  markedVisitors,
  optedOutVisitors,
  optingOut,
  sorted,
  strangerOf,
} from './chaos-visitors';
import { ORIGINS, seeded, setWeather } from './chaos-weather';

export const MAX_WAIT_MS = 150;
const CONNECTIONS = 16;
const DESK_CONNECTIONS = 2;
const CLIENTS = 24;
const SPELL_MS = 250;
/** With these lifetimes a visitor who views a page every second causes up to sixty calls a minute. */
export const MAX_CALLS_PER_MINUTE = 60;
/** Events may wait for the next minute. */
const MAX_SETTLE_MS = 65_000;

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
  /** All calls that arrived. */
  readonly calls: readonly LoggedCall[];
  readonly refusals: readonly Withdrawal[];
  readonly optOuts: readonly OptOut[];
  /** Opt-outs that were rejected, by code. */
  readonly failedOptOuts: Readonly<Record<string, number>>;
  /** How long it took until all was done after the last fault; `undefined` if it was not. */
  readonly settledInMs: number | undefined;
  /** The site at the end. */
  readonly end: SiteReport | undefined;
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
  const site = await startSite({
    express,
    idleMs: MAX_WAIT_MS,
    deskConnections: DESK_CONNECTIONS,
    aam: optionsFor(simulator),
  });
  const pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CLIENTS });
  const random = seeded(seed);
  const tally = new Tally();
  const visitors = knownVisitors(simulator);
  const optedOut = optedOutVisitors(simulator);
  const telling = markedVisitors(simulator, 100, 0);
  const wavering = markedVisitors(simulator, 60, 1);
  /** Who would be asked about far too often. */
  const restless = markedVisitors(simulator, 2, 2);
  let strangers = 0;
  let optingOutNext = 0;
  const oneOf = (of: readonly ChaosVisitor[]) => of[Math.floor(random() * of.length)] as ChaosVisitor;

  const draw = (): ChaosVisitor => {
    const dice = random();
    if (dice < 0.05) return strangerOf(strangers++);
    if (dice < 0.08) return oneOf(optedOut);
    if (dice < 0.1) return ANONYMOUS;
    return oneOf(visitors);
  };
  const visit = async () => {
    if (random() < 0.2) {
      const { statusCode, body } = await pool.request({ path: '/idle', method: 'GET' });
      tally.idle(statusCode, ((await body.json()) as Page).heldMs - MAX_WAIT_MS);
      return;
    }
    const dice = random();
    if (dice < 0.06) return tellOften(oneOf(telling));
    if (dice < 0.12) return act(oneOf(telling), '/page');
    if (dice < 0.22) return waver(oneOf(wavering));
    if (dice < 0.3) return waver(oneOf(restless), false);
    if (dice < 0.32) return optOut(optingOut(optingOutNext++));
    await act(draw(), '/page', {});
  };
  const act = async (visitor: ChaosVisitor, path: string, headers: Record<string, string> = { 'x-marked': '1' }) => {
    const request = { path, method: 'GET', headers: { cookie: visitor.cookie, ...headers } } as const;
    const { statusCode, body } = await pool.request(request);
    return tally.page(visitor, statusCode, await body.text());
  };
  /** Faster than they can be sent. */
  const tellOften = async (visitor: ChaosVisitor) => {
    for (let left = 1 + Math.floor(random() * 4); left > 0; left--) await act(visitor, '/tell');
  };
  /** Agrees or refuses, whatever the same visitor is doing in other tabs. */
  const waver = async (visitor: ChaosVisitor, tells = true) => {
    const dice = random();
    if (dice < 0.3) {
      const page = await act({ ...visitor, truth: undefined }, '/page', { 'x-marked': '1', 'sec-gpc': '1' });
      if (page !== undefined)
        tally.refusals.push({ visitor: visitor.ecid, seq: page.seq, answeredAt: performance.now() });
    } else if (tells && dice < 0.5) {
      await tellOften(visitor);
    } else {
      await act(visitor, '/page');
    }
  };
  const optOut = async (ecid: string) => {
    const ask = async (what: string): Promise<DeskAnswer> => {
      const { body } = await pool.request({ path: `/desk/${what}/${ecid}`, method: 'GET' });
      return (await body.json()) as DeskAnswer;
    };
    for (const what of ['lookup', 'tell', 'tell', 'tell']) if (random() < 0.7) await ask(what);
    const { seq, code } = await ask('opt-out');
    tally.optOut({ visitor: ecid, seq, answeredAt: performance.now(), code });
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
  /** Ends the faults as well. */
  const takeLog = () => {
    tally.calls(simulator);
    simulator.clear();
  };
  const weather = async () => {
    const warmAtMs = performance.now() + (endsAtMs - performance.now()) / 3;
    for (let n = 0; !isOver(); n++) {
      setWeather(simulator, n, random);
      await new Promise((resolve) => setTimeout(resolve, SPELL_MS));
      takeLog();
      if (heapAfterWarmUpBytes === 0 && performance.now() > warmAtMs)
        heapAfterWarmUpBytes = (await site.report()).heapBytes;
    }
  };
  await Promise.all([weather(), ...Array.from({ length: CLIENTS }, client)]);

  // Visits that had begun may have gone on after the weather.
  takeLog();
  const clearAtMs = performance.now();
  const end = site.crash() === undefined ? await settledReport(site, clearAtMs + MAX_SETTLE_MS) : undefined;
  const settledInMs = end !== undefined && isSettled(end) ? performance.now() - clearAtMs : undefined;
  takeLog();
  const crash = site.crash();
  await pool.close();
  await site.stop();
  await simulator.close({ unusedFaults: 'ignore' });
  return {
    ...tally.report,
    heapAfterWarmUpBytes,
    heapAtEndBytes: end?.heapBytes ?? 0,
    dcsSockets: end?.dcsSockets ?? 0,
    maxDcsSockets: (CONNECTIONS + DESK_CONNECTIONS) * ORIGINS.length,
    settledInMs,
    end,
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
      maxCallsPerMinute: MAX_CALLS_PER_MINUTE,
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

function isSettled({ stats, deskStats, promises }: SiteReport): boolean {
  const isIdle = [stats, deskStats].every(({ inFlight, events, origins }) => {
    const isQuiet = Object.values(origins).every(({ running, queued }) => running + queued === 0);
    return inFlight === 0 && events.queued === 0 && isQuiet;
  });
  return isIdle && promises.made === promises.settled;
}

/** The report once all is done, or at this time. */
async function settledReport(site: Site, atLatestMs: number): Promise<SiteReport> {
  for (;;) {
    const report = await site.report();
    if (isSettled(report) || performance.now() > atLatestMs) return report;
    await new Promise((resolve) => setTimeout(resolve, 50));
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
  readonly refusals: Withdrawal[] = [];
  readonly #optOuts: OptOut[] = [];
  readonly #failedOptOuts: Record<string, number> = {};
  readonly #calls: LoggedCall[] = [];
  /** How calls in flight end shows later. */
  #open: DcsRequest[] = [];

  page({ truth }: ChaosVisitor, statusCode: number, text: string): Page | undefined {
    this.#count(statusCode);
    if (statusCode !== 200) return undefined;
    const page: Page = JSON.parse(text);
    const { status, reason, ids, heldMs } = page;
    const label = reason === undefined ? status : `${status}/${reason}`;
    this.#statuses[label] = (this.#statuses[label] ?? 0) + 1;
    this.#heldMs.push(heldMs);
    const isKnown = status === 'fresh' || status === 'cached' || status === 'stale';
    const served = sorted(ids);
    if (served !== (isKnown ? truth : '')) this.#wrong.push(`${label}: [${served}] for [${truth ?? 'none'}]`);
    return page;
  }

  optOut(optOut: OptOut): void {
    const { code } = optOut;
    this.#optOuts.push(optOut);
    if (code !== undefined) this.#failedOptOuts[code] = (this.#failedOptOuts[code] ?? 0) + 1;
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
    this.#open.push(...simulator.requests);
    for (const request of this.#open) if (request.endedAt !== undefined) this.#calls.push(loggedCall(request));
    this.#open = this.#open.filter(({ endedAt }) => endedAt === undefined);
  }

  get report() {
    return {
      requests: this.#requests,
      faults: this.#faults,
      statuses: this.#statuses,
      serverErrors: this.#serverErrors,
      wrongSegments: this.#wrong,
      callsAboutOptedOut: this.#callsAboutOptedOut,
      calls: [...this.#calls, ...this.#open.map(loggedCall)],
      refusals: this.refusals,
      optOuts: this.#optOuts,
      failedOptOuts: this.#failedOptOuts,
      heldMs: this.#heldMs,
      idleExtraMs: this.#idleExtraMs,
    };
  }

  #count(statusCode: number): void {
    this.#requests++;
    if (statusCode >= 500) this.#serverErrors++;
  }
}
