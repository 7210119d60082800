/**
 * A real server of Redis or Valkey, on a free port of loopback. Where there is none, tests that need it say so and fail in CI.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const BINARY = process.env.REDIS_SERVER ?? 'redis-server';
export const hasRedisServer = spawnSync(BINARY, ['--version']).status === 0;
if (!hasRedisServer && process.env.CI) throw new Error(`${BINARY} is not installed`);

/** `describe`, or a skipped one that says why. */
export const describeWithRedis: jest.Describe = hasRedisServer
  ? describe
  : (Object.assign(
      (name: string, body: () => void) => describe.skip(`${name} (skipped: ${BINARY} is not installed)`, body),
      describe,
    ) as jest.Describe);

export class RedisServer {
  readonly port: number;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
  }

  /** Started, and answering. */
  static async start(...args: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), args);
    await server.start();
    return server;
  }

  /** A port on which nobody listens yet. */
  static async notYet(...args: string[]): Promise<RedisServer> {
    return new RedisServer(await freePort(), args);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const standard = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.#process = spawn(BINARY, [...standard, '--dir', tmpdir(), ...this.#args], { stdio: 'ignore' });
    for (let left = 200; left > 0; left--) {
      if ((await this.command('PING').catch(() => undefined)) === '+PONG') return;
      await sleep(20);
    }
    throw new Error(`${BINARY} does not answer`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, 'exit');
    process.kill(signal);
    // One that was stopped does not die.
    if (signal === 'SIGKILL') process.kill('SIGCONT');
    await exited;
  }

  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Runs one command on a connection of its own. @returns the first line of the reply */
  async command(...args: string[]): Promise<string> {
    const socket = connect(this.port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      socket.write(`*${args.length}\r\n${args.map((each) => `$${Buffer.byteLength(each)}\r\n${each}\r\n`).join('')}`);
      const [reply] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) })) as [Buffer];
      return reply.toString().split('\r\n', 1)[0] as string;
    } finally {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/**
 * Below the ports that systems give to outgoing connections: a client that tries to connect to such a port while nobody listens
 * there can be given it itself, is then connected to itself, and keeps the server from getting it.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue; // somebody else's
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
