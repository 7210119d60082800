/** Throughput and memory of `aam-segments bulk` with 100 000 customers, compared with a bare undici pool making the same calls. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { PROMISES, type Promised, report } from './promises';
import { ecidOf, ORG } from './visitors';

const LEVEL_AT_ROWS = 5_000;
const CONCURRENCY = 32;
const SAMPLE_INTERVAL_MS = 20;

const cli = join(__dirname, '..', 'dist', 'cli', 'main.js');

interface Bulk {
  readonly rowsPerSecond: number;
  readonly levelMb: number;
  readonly peakMb: number;
}

async function bulk(folder: string, origin: string, expected: number): Promise<Bulk> {
  const out = join(folder, 'out.csv');
  for (const path of [out, `${out}.bulk`]) rmSync(path, { recursive: true, force: true });
  const args = ['bulk', '--in', join(folder, 'in.csv'), '--out', out, '--force', '--concurrency', String(CONCURRENCY)];
  const account = ['--org', ORG, '--partner', 'acme', '--origin', origin];
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [cli, ...args, ...account], { stdio: ['ignore', 'inherit', 'pipe'] });
  child.stderr.resume();
  const samples: { readonly bytes: number; readonly rssMb: number }[] = [];
  const sampling = setInterval(() => {
    try {
      const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) as RegExpExecArray;
      samples.push({ bytes: statSync(join(`${out}.bulk`, 'rows')).size, rssMb: Number(kb) / 1024 });
    } catch {
      // The process has not started, or has ended.
    }
  }, SAMPLE_INTERVAL_MS);
  const [code] = await once(child, 'exit');
  clearInterval(sampling);
  const tookMs = performance.now() - startedAtMs;
  const text = readFileSync(out, 'utf8');
  const written = new Set(
    text
      .split('\n')
      .slice(1, -1)
      .map((line) => line.slice(0, 38)),
  );
  if (code !== 0 || written.size !== expected || text.split('\n').length !== expected + 2)
    throw new Error('rows are missing');
  const level = samples.find(({ bytes }) => bytes >= (text.length * LEVEL_AT_ROWS) / expected);
  return {
    rowsPerSecond: (expected * 1_000) / tookMs,
    levelMb: level?.rssMb ?? Number.NaN,
    peakMb: Math.max(...samples.map(({ rssMb }) => rssMb)),
  };
}

/** Makes the same calls through a bare pool and parses the answers. */
async function bare(folder: string, origin: string, rows: number): Promise<number> {
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, ['--import', 'tsx', __filename, 'bare', join(folder, 'in.csv'), origin], {
    stdio: 'inherit',
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error('the bare pool failed');
  return (rows * 1_000) / (performance.now() - startedAtMs);
}

async function makeCalls(path: string, origin: string): Promise<void> {
  const pool = new Pool(origin, { connections: CONCURRENCY });
  const lines = createInterface({ input: createReadStream(path) })[Symbol.asyncIterator]();
  await lines.next();
  const worker = async () => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) return;
      const organisation = encodeURIComponent(ORG);
      const query = `d_rtbd=json&d_jsonv=1&d_mid=${value.slice(0, 38)}&d_orgid=${organisation}&d_cts=2`;
      const { body } = await pool.request({
        path: `/event?${query}`,
        method: 'GET',
        headers: { host: 'acme.demdex.net' },
      });
      JSON.parse(await body.text());
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  await pool.close();
}

async function compare(promise: Promised, rows: number, latencyMs: number, pairs: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bulk-'));
  const { dcs, stop } = await startDcs(rows, latencyMs);
  try {
    const lines = Array.from({ length: rows }, (_, n) => `${ecidOf(n)},customer ${n}\n`);
    writeFileSync(join(folder, 'in.csv'), `ecid,name\n${lines.join('')}`);
    const runs: Bulk[] = [];
    const compared = await interleaved(
      {
        a: async () => {
          const run = await bulk(folder, dcs.defaultOrigin, rows);
          runs.push(run);
          return run.rowsPerSecond;
        },
        b: () => bare(folder, dcs.defaultOrigin, rows),
      },
      { pairs, warmUp: 1 },
    );
    const title = `${rows} customers, ${CONCURRENCY} calls at a time, a DCS that takes ${latencyMs} ms`;
    print(title, 'rows/s', { a: 'aam-segments bulk', b: 'bare undici pool' }, compared);
    report(promise, compared.ratio);
    const mb = runs.map(({ levelMb, peakMb }) => ({
      'MB after 5 000 rows': Math.round(levelMb),
      'MB at most': Math.round(peakMb),
    }));
    console.table(mb);
    const growth = Math.max(...runs.map(({ levelMb, peakMb }) => peakMb - levelMb));
    report(PROMISES.bulkMemory, growth);
  } finally {
    await stop();
    rmSync(folder, { recursive: true });
  }
}

async function run(): Promise<void> {
  await compare(PROMISES.bulkImmediate, 100_000, 0, 5);
  // On loopback a call takes 0.1 ms; this is closer to the latency of a data centre.
  await compare(PROMISES.bulk, 20_000, 20, 3);
}

const [, , mode, path, origin] = process.argv;
void (mode === 'bare' ? makeCalls(path as string, origin as string) : run());
