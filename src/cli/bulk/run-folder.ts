/**
 * Owns: the folder `<out>.bulk` of a run: its lock, its journal and the rows that are written so far. Nobody else can write to
 * it, so nobody can plant a link in it. Next: journal.ts, resumable-output.ts.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../command';
import { createPrivate, isSystemError, systemError } from '../files';

/** A claim of another machine that has not been renewed for so long is one of a process that has ended. */
const ABANDONED_AFTER_MS = 60_000;
const RENEWED_EVERY_MS = 10_000;

export class RunFolder {
  readonly journal: string;
  readonly rows: string;
  readonly #path: string;
  readonly #claim: string;
  readonly #renewal: NodeJS.Timeout;

  /** @throws {Failure} where the folder cannot be made, is not ours, or another run holds it */
  constructor(output: string) {
    this.#path = `${output}.bulk`;
    this.journal = join(this.#path, 'journal');
    this.rows = join(this.#path, 'rows');
    try {
      this.#make();
      const name = `lock-${process.pid}-${startOf(process.pid)}-${machine()}`;
      this.#claim = join(this.#path, name);
      rmSync(this.#claim, { force: true });
      closeSync(createPrivate(this.#claim));
      this.#assertAlone(name, output);
    } catch (error) {
      if (isSystemError(error)) throw new Failure(`--out ${output}: ${systemError(error)} (${this.#path})`);
      throw error;
    }
    this.#renewal = setInterval(() => {
      try {
        utimesSync(this.#claim, new Date(), new Date());
      } catch {
        // Then the folder is gone, which the next write notices.
      }
    }, RENEWED_EVERY_MS);
    this.#renewal.unref();
  }

  /** Lets another run have the folder. */
  release(): void {
    clearInterval(this.#renewal);
    rmSync(this.#claim, { force: true });
    try {
      // Where nothing is kept, nothing is left behind.
      rmdirSync(this.#path);
    } catch {
      // It is not empty.
    }
  }

  #make(): void {
    try {
      mkdirSync(this.#path, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const found = lstatSync(this.#path);
    const isOurs = process.getuid === undefined || (found.uid === process.getuid() && (found.mode & 0o022) === 0);
    if (!found.isDirectory() || !isOurs) {
      throw new Failure(`${this.#path} is not a folder that only you can write to: move it away`);
    }
  }

  /** Each run makes its claim first and looks for others then: of two at once, at least one sees the other. */
  #assertAlone(own: string, output: string): void {
    const nowMs = statSync(this.#claim).mtimeMs;
    for (const name of readdirSync(this.#path)) {
      const [, pid, start, where] = /^lock-(\d+)-(\w+)-(\w+)$/.exec(name) ?? [];
      if (name === own || pid === undefined) continue;
      const path = join(this.#path, name);
      const isHeld =
        where === machine()
          ? startOf(Number(pid)) === start
          : nowMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < ABANDONED_AFTER_MS;
      if (isHeld) {
        rmSync(this.#claim, { force: true });
        throw new Failure(`another run (process ${pid}) is writing ${output}: wait until it has ended`);
      }
      rmSync(path, { force: true });
    }
  }
}

/** When a process started, to tell it from a later one with its number; 'gone' where there is none. */
function startOf(pid: number): string {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'gone';
  }
  try {
    // Field 22; the second, the name of the program, may hold spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ');
    // A zombie writes nothing any more.
    return fields[0] === 'Z' ? 'gone' : (fields[19] ?? 'alive');
  } catch {
    return 'alive';
  }
}

/** Where a process number means something: a machine, or a container on it. */
function machine(): string {
  let container = '';
  try {
    container = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not on Linux.
  }
  return createHash('sha256').update(`${hostname()} ${container}`).digest('hex').slice(0, 12);
}
