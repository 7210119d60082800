/** `npm run kills`: kills `aam-segments bulk` at a hundred random moments, or at as many as are given, and checks what is left. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDcsSimulator } from '../../src/testing/public';
import { ORG } from '../helpers/site';
import { bulkProcess, checkKills } from './kill-rounds';

async function main(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kills-'));
  const simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  const account = ['--org', ORG, '--partner', 'acme', '--origin', simulator.dcs.defaultOrigin];
  const bulk = bulkProcess(join(__dirname, '..', '..', 'dist', 'cli', 'main.js'), account);
  try {
    const hits = await checkKills({ simulator, folder, bulk, rounds, rows: 1_500, random: Math.random });
    console.log(`${rounds} rounds, ${hits} of them killed while running: every row once, no byte of the old file lost`);
  } finally {
    await simulator.close();
    rmSync(folder, { recursive: true });
  }
}

void main(Number(process.argv[2] ?? 100));
