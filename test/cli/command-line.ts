import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDcsSimulator, type DcsSimulator, type DcsSimulatorOptions } from 'express-aam-segments/testing';
import { ORG } from '../helpers/site';

const root = join(__dirname, '..', '..');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Built once per test file: compiling dominates the run time. */
let built: string | undefined;

/** The `main.js` of a fresh build. */
export function program(): string {
  if (built === undefined) {
    const cache = join(root, 'node_modules', '.cache');
    mkdirSync(cache, { recursive: true });
    built = mkdtempSync(join(cache, 'cli-'));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', join(built, 'dist')]);
    cpSync(join(root, 'package.json'), join(built, 'package.json'));
  }
  return join(built, 'dist', 'cli', 'main.js');
}

afterAll(() => {
  if (built !== undefined) rmSync(built, { recursive: true });
});

const running = new Set<ChildProcess>();

/** Starts the command line in a process of its own. */
export function start(args: readonly string[], env: Record<string, string> = {}, file = program()): ChildProcess {
  const child = spawn(process.execPath, [file, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: 'pipe',
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Starts the command line with a limit on the size of the files that it writes: as good as a full disk. */
export function startOnFullDisk(args: readonly string[], limitKb: number): ChildProcess {
  const shell = ['-c', `ulimit -f ${limitKb}; exec "$@"`, 'bash', process.execPath, program(), ...args];
  return spawn('bash', shell, { cwd: root, stdio: 'pipe' });
}

export async function end(child: ChildProcess, input = ''): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A command that does not read its input may end before it is written.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

export async function run(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Ended> {
  return end(start(args, env), input);
}

export interface Desk {
  readonly simulator: DcsSimulator;
  /** A temporary folder. */
  readonly folder: string;
  /** Arguments that direct a command to the simulator. */
  readonly account: readonly string[];
}

const open: (() => Promise<void>)[] = [];

export async function createDesk(options?: DcsSimulatorOptions): Promise<Desk> {
  const simulator = await createDcsSimulator({ segmentIds: true, ...options });
  const folder = mkdtempSync(join(tmpdir(), 'cli-'));
  open.push(async () => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
    await simulator.close();
  });
  const account = ['--org', ORG, '--partner', 'acme', '--origin', simulator.dcs.defaultOrigin];
  const names = ['--segment', 'golfFans=984263', '--segment', 'highValue=985264'];
  return { simulator, folder, account: [...account, ...names] };
}

export async function closeDesks(): Promise<void> {
  for (const close of open.splice(0)) await close();
}
