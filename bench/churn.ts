/**
 * The slowest page views while newcomers push visitors out of a full cache: what garbage collection adds with a million cached
 * visitors, compared with a thousand. Pages are requested at a fixed rate, whatever the site does, and a view counts from when
 * it was due: so every view that a pause delays counts, not only the one that it hits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { type ChurnSite, type Collections, startChurnSite } from './churn-site';
import { moveToLoadCore } from './cores';
import { PROMISES, report } from './promises';
import { cookieHeaderOf } from './visitors';

const LARGE = 1_000_000;
const SMALL = 1_000;
const VIEWS_PER_SECOND = 500;
const SLICE_MS = 6_000;
/** Of each site in turn, the first one to warm up. */
const SLICES = 6;
const CONNECTIONS = 128;
const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0';

/** Nobody who was there before: all of them push somebody out. */
let newcomers = LARGE;

class Measured {
  readonly collections: Collections[] = [];
  latenciesMs: number[] = [];
  readonly #site: ChurnSite;
  readonly #pool: Pool;

  constructor(site: ChurnSite) {
    this.#site = site;
    this.#pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CONNECTIONS });
  }

  async playSlice(): Promise<void> {
    const beganAtMs = performance.now();
    const views: Promise<void>[] = [];
    for (;;) {
      const elapsedMs = performance.now() - beganAtMs;
      if (elapsedMs >= SLICE_MS) break;
      while ((views.length * 1_000) / VIEWS_PER_SECOND <= elapsedMs) {
        views.push(this.#view(beganAtMs + (views.length * 1_000) / VIEWS_PER_SECOND));
      }
      await sleep(1);
    }
    await Promise.all(views);
    this.collections.push(await this.#site.collections());
  }

  forget(): void {
    this.latenciesMs = [];
    this.collections.length = 0;
  }

  async stop(): Promise<void> {
    await this.#pool.close();
    await this.#site.stop();
  }

  async #view(dueAtMs: number): Promise<void> {
    const { statusCode, body } = await this.#pool.request({
      path: '/',
      method: 'GET',
      headers: { cookie: cookieHeaderOf(newcomers++), 'user-agent': USER_AGENT },
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`);
    this.latenciesMs.push(performance.now() - dueAtMs);
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}

function row({ latenciesMs, collections }: Measured): Record<string, number> {
  const sum = (of: (each: Collections) => number) => collections.reduce((total, each) => total + of(each), 0);
  const ms = (value: number) => Number(value.toFixed(1));
  return {
    views: latenciesMs.length,
    'p50 ms': ms(quantile(latenciesMs, 0.5)),
    'p99 ms': ms(quantile(latenciesMs, 0.99)),
    'p99.9 ms': ms(quantile(latenciesMs, 0.999)),
    collections: sum(({ count }) => count),
    'of old space': sum(({ major }) => major),
    'longest ms': ms(Math.max(...collections.map(({ longestMs }) => longestMs))),
    'heap MB': Math.round(collections.at(-1)?.heapMb ?? 0),
  };
}

async function run(): Promise<void> {
  moveToLoadCore();
  const large = new Measured(await startChurnSite(LARGE));
  const small = new Measured(await startChurnSite(SMALL));
  for (let n = 0; n < SLICES; n++) {
    for (const each of n % 2 === 0 ? [large, small] : [small, large]) await each.playSlice();
    if (n === 0) for (const each of [large, small]) each.forget();
  }
  console.log(`\n${VIEWS_PER_SECOND} page views a second by newcomers, and nine times as many lookups of others`);
  console.table({ [`${LARGE} visitors`]: row(large), [`${SMALL} visitors`]: row(small) });
  const addedMs = quantile(large.latenciesMs, 0.999) - quantile(small.latenciesMs, 0.999);
  report(PROMISES.churn, Math.max(0, addedMs));
  for (const each of [large, small]) await each.stop();
}

void run();
