/** Processes of a fleet, as their parent sees them. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { AamStats } from '../../src/index';
import { cookieOf } from '../helpers/site';
import type { ProcessOptions } from './fleet-process';

export interface View {
  readonly httpStatus: number;
  readonly status: string;
  readonly isKnown: boolean;
  readonly reason?: string;
  readonly ids: readonly string[];
  readonly names: readonly string[];
  readonly ageMs?: number;
}

export interface ProcessStats extends AamStats {
  readonly warnings: readonly string[];
  /** The longest that a request was held since the last time. */
  readonly maxWaitMs: number;
  /** The longest that its event loop was late, since the last time. */
  readonly maxDelayMs: number;
  readonly sockets: number;
  readonly rss: number;
  readonly cpuMs: number;
}

export class FleetProcess {
  readonly #child: ChildProcess;
  readonly #origin: string;
  readonly #agent = new Agent({ connections: 64, headersTimeout: 30_000, bodyTimeout: 30_000 });

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#origin = `http://127.0.0.1:${port}`;
  }

  static async start(options: ProcessOptions): Promise<FleetProcess> {
    const child = fork(join(__dirname, 'fleet-process.ts'), [JSON.stringify(options)], {
      execArgv: ['--import', 'tsx', '--unhandled-rejections=strict'],
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const died = once(child, 'exit').then(() => {
      throw new Error('The process has ended.');
    });
    const [port] = (await Promise.race([once(child, 'message'), died])) as [number];
    died.catch(() => {});
    return new FleetProcess(child, port);
  }

  async view(ecid: string, cookie = cookieOf(ecid)): Promise<View> {
    const { statusCode, body } = await this.#request('GET', '/', cookie);
    return { httpStatus: statusCode, ...((await body.json()) as Omit<View, 'httpStatus'>) };
  }

  async buy(
    ecid: string,
  ): Promise<{ readonly status?: string; readonly ids?: readonly string[]; readonly code?: string }> {
    const { body } = await this.#request('POST', '/buy', cookieOf(ecid));
    return (await body.json()) as { readonly status?: string };
  }

  async forget(ecid: string): Promise<void> {
    await (await this.#request('POST', `/forget/${ecid}`)).body.dump();
  }

  async close(): Promise<void> {
    await (await this.#request('POST', '/close')).body.dump();
  }

  async stats(): Promise<ProcessStats> {
    return (await (await this.#request('GET', '/stats')).body.json()) as ProcessStats;
  }

  /** Waits until it shares with others. */
  async ready(): Promise<void> {
    for (let left = 400; left > 0; left--) {
      if ((await this.stats()).shared?.status === 'ready') return;
      await sleep(25);
    }
    throw new Error(`The process does not get ready: ${JSON.stringify(await this.stats())}`);
  }

  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#agent.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    this.#child.kill('SIGCONT');
    await exited;
  }

  #request(method: 'GET' | 'POST', path: string, cookie?: string) {
    return request(this.#origin + path, {
      method,
      dispatcher: this.#agent,
      ...(cookie !== undefined && { headers: { cookie } }),
    });
  }
}

/** Ids of visitors: the same number, the same id. */
export function ecidOf(n: number): string {
  return String(n).padStart(8, '0').padStart(38, '7');
}

/** The same draws in every run. */
export function drawsOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
