/**
 * CPU time of a page view of a cached visitor, over real HTTP, compared with the same app and a middleware that does nothing.
 *
 * Each variant runs in a process of its own, since in a shared one the objects of all variants would meet in Express's code and
 * slow each other down, the idle one most. All are alive at once and measured in turn, so that a slowdown of the machine
 * affects all of them. Several rounds with new processes, because two processes that start equal can differ by some percent.
 */
import { Pool } from 'undici';
import { bootstrapInterval } from './bootstrap';
import { pageHeadersOf } from './browsers';
import { moveToLoadCore } from './cores';
import { startDcs } from './dcs-process';
import { median } from './interleaved';
import { PROMISES, report } from './promises';
import { type Site, startSite, type Variant } from './site-process';

const VISITORS = 600;
const CONNECTIONS = 16;
const ROUNDS = 5;
const BLOCKS = 16;
const VIEWS_PER_BLOCK = 1_200;
/** The JIT compiler is done after some ten thousand. */
const WARM_UP_BLOCKS = 16;
const MAX_MS = 240_000;

const NAMES: Readonly<Record<Variant, string>> = {
  nothing: 'a middleware that does nothing',
  read: 'ours, a segment is read',
  unread: 'ours, nobody reads',
  floor: 'a property and a header',
  cookies: 'cookie.parse',
};
const VARIANTS = Object.keys(NAMES) as Variant[];

const headers = Array.from({ length: VISITORS }, (_, n) => pageHeadersOf(n));

class Contender {
  /** CPU microseconds per view of each block, by round. */
  readonly rounds: number[][] = [];
  readonly #site: Site;
  readonly #pool: Pool;

  constructor(site: Site) {
    this.#site = site;
    this.#pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CONNECTIONS });
  }

  async measureBlock(): Promise<number> {
    const before = await this.#site.cpuMicros();
    let sent = 0;
    const browser = async () => {
      while (sent < VIEWS_PER_BLOCK) {
        const { statusCode, body } = await this.#pool.request({
          path: '/',
          method: 'GET',
          headers: headers[sent++ % VISITORS] as Record<string, string>,
        });
        await body.dump();
        if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, browser));
    return ((await this.#site.cpuMicros()) - before) / VIEWS_PER_BLOCK;
  }

  /** The first view of each visitor is not a warm hit; all others must be. */
  async checkHits(): Promise<void> {
    const { fresh, cached } = (await this.#site.stats()).requests;
    const views = (WARM_UP_BLOCKS + BLOCKS) * VIEWS_PER_BLOCK;
    if (fresh !== VISITORS || cached !== views - VISITORS) throw new Error('not every view was a warm hit');
  }

  async stop(): Promise<void> {
    await this.#pool.close();
    await this.#site.stop();
  }
}

type Block = Readonly<Record<Variant, number>>;

async function measureRound(dcs: object): Promise<Block[]> {
  const contenders = new Map<Variant, Contender>();
  for (const variant of VARIANTS) contenders.set(variant, new Contender(await startSite(variant, dcs)));
  const blocks: Block[] = [];
  for (let n = -WARM_UP_BLOCKS; n < BLOCKS; n++) {
    const block: Partial<Record<Variant, number>> = {};
    // Each variant comes first as often as the others.
    for (let turn = 0; turn < VARIANTS.length; turn++) {
      const variant = VARIANTS[(n + WARM_UP_BLOCKS + turn) % VARIANTS.length] as Variant;
      block[variant] = await (contenders.get(variant) as Contender).measureBlock();
    }
    if (n >= 0) blocks.push(block as Block);
  }
  for (const variant of ['read', 'unread'] as const) await contenders.get(variant)?.checkHits();
  for (const contender of contenders.values()) await contender.stop();
  return blocks;
}

async function run(): Promise<void> {
  moveToLoadCore();
  const endsAtMs = performance.now() + MAX_MS;
  const { dcs, stop } = await startDcs(VISITORS);
  const rounds: Block[][] = [];
  while (rounds.length < ROUNDS && performance.now() < endsAtMs) rounds.push(await measureRound(dcs));
  await stop();
  const ratios = new Map(
    VARIANTS.map((variant) => [variant, rounds.map((blocks) => blocks.map((block) => block[variant] / block.nothing))]),
  );
  console.log(
    `\nA page view of a cached visitor: ${rounds.length} rounds of ${BLOCKS} blocks of ${VIEWS_PER_BLOCK} views`,
  );
  const rows = VARIANTS.map((variant) => {
    const ofVariant = ratios.get(variant) as number[][];
    const [low, high] = bootstrapInterval(ofVariant);
    return {
      variant: NAMES[variant],
      'µs of CPU': Number(median(rounds.flat().map((block) => block[variant])).toFixed(1)),
      ratio: median(ofVariant.flat()).toFixed(3),
      '95 % interval': `${low.toFixed(3)} to ${high.toFixed(3)}`,
    };
  });
  console.table(rows);
  report(PROMISES.warmRead, median((ratios.get('read') as number[][]).flat()));
  report(PROMISES.warmUnread, median((ratios.get('unread') as number[][]).flat()));
}

void run();
