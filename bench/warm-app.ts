/** CPU time of a page view of a cached visitor, compared with the same app and a middleware that does nothing. */
import { Pool } from 'undici';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { PROMISES, report } from './promises';
import { type AppKind, type Middleware, startSite } from './site-process';
import { cookieHeaderOf } from './visitors';

const VISITORS = 1_000;
const REQUESTS = 4_000;
const CONNECTIONS = 8;
const PAIRS = 60;
const WARM_UP = 6;

const cookies = Array.from({ length: VISITORS }, (_, n) => cookieHeaderOf(n));

async function compare(kind: AppKind, dcs: object): Promise<void> {
  const site = await startSite(kind, dcs);
  const pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CONNECTIONS });
  const load = async () => {
    let sent = 0;
    const client = async () => {
      while (sent < REQUESTS) {
        const cookie = cookies[sent++ % VISITORS] as string;
        const { body } = await pool.request({ path: '/', method: 'GET', headers: { cookie } });
        await body.dump();
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
  };
  const cpuMicroseconds = async (middleware: Middleware) => {
    const before = await site.use(middleware);
    await load();
    return ((await site.use(middleware)) - before) / REQUESTS;
  };
  await load();
  const measure = { a: () => cpuMicroseconds('ours'), b: () => cpuMicroseconds('idle') };
  const compared = await interleaved(measure, { pairs: PAIRS, warmUp: WARM_UP });
  const { fresh, cached } = (await site.stats()).requests;
  if (fresh !== VISITORS || cached !== (1 + WARM_UP + PAIRS) * REQUESTS - VISITORS) {
    throw new Error('not every view was a warm hit');
  }
  const names = { a: 'with the middleware', b: 'with one that does nothing' };
  print(`A page view of a known visitor, ${kind} app`, 'µs of CPU', names, compared);
  report(kind === 'bare' ? PROMISES.warmBare : PROMISES.warmRendering, compared.ratio);
  await pool.close();
  site.stop();
}

async function run(): Promise<void> {
  const { dcs, stop } = await startDcs(VISITORS);
  await compare('rendering', dcs);
  await compare('bare', dcs);
  await stop();
}

void run();
