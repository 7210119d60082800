/**
 * Owns: the files that commands read and write. What is written holds personal data and may stand in a folder that others can
 * write to: so files are made for the owner alone, are never opened through a link, and get their name when they are
 * complete.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  createReadStream,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { getSystemErrorMap } from 'node:util';
import { Failure, UsageError } from './command';

/** For the owner alone. */
const PRIVATE = 0o600;
/** Windows has no such flag. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** An error of the file system in words, without the path and the call. */
export function systemError(error: unknown): string {
  const { errno, code, message } = error as NodeJS.ErrnoException;
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno);
  return known?.[1] ?? code ?? message;
}

/** Whether an error comes from the file system or from a stream. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === 'number';
}

/**
 * A file to read, or standard input for `-`.
 * @throws {UsageError} for a file that cannot be read
 */
export function openInput(flag: string, path: string, stdin: Readable): Readable {
  if (path === '-') return stdin;
  try {
    const file = openSync(path, 'r');
    if (!fstatSync(file).isDirectory()) return createReadStream(path, { fd: file, highWaterMark: 262_144 });
    closeSync(file);
  } catch (error) {
    throw new UsageError(`${flag} ${path}: ${systemError(error)}`);
  }
  throw new UsageError(`${flag} ${path}: is a folder, not a file`);
}

/** Where a command writes. */
export type OutputTarget =
  | { readonly kind: 'file'; readonly path: string; readonly exists: boolean }
  /** A device or a pipe, which is written to as it is. */
  | { readonly kind: 'device'; readonly path: string };

/**
 * Looks at the path of an output. A link is followed once, here, so that the file that it leads to is replaced and not the
 * link.
 * @throws {UsageError} for a folder, a broken link, a link of somebody else's, and a path in a folder that is not there
 */
export function outputTarget(path: string): OutputTarget {
  const refuse = (why: string) => new UsageError(`--out ${path}: ${why}`);
  const link = lstatOf(path);
  if (link?.isSymbolicLink() && !isOursOrRoots(link)) throw refuse('is a link that belongs to somebody else');
  const stats = statOf(path);
  if (link !== undefined && stats === undefined) throw refuse('is a link to a file that does not exist');
  if (stats?.isDirectory()) throw refuse('is a folder, not a file');
  if (stats !== undefined && !stats.isFile()) return { kind: 'device', path };
  let folder: string;
  try {
    if (stats !== undefined) return { kind: 'file', path: realpathSync(path), exists: true };
    folder = realpathSync(dirname(path));
  } catch (error) {
    throw refuse(systemError(error));
  }
  if (path.endsWith('/')) throw refuse('is a folder, not a file');
  return { kind: 'file', path: join(folder, basename(path)), exists: false };
}

/**
 * Files are compared, not paths; `-` is standard input and output.
 * @throws {UsageError} where the input and the output are the same file, also through links and redirections
 */
export function assertNotInPlace(from: string, to: string): void {
  const [input, output] = [from === '-' ? fstatOf(0) : statOf(from), to === '-' ? fstatOf(1) : statOf(to)];
  if (input === undefined || output === undefined || !input.isFile() || !output.isFile()) return;
  if (input.ino !== output.ino || input.dev !== output.dev) return;
  const name = (path: string, standard: string) => (path === '-' ? standard : path);
  throw new UsageError(
    `${name(from, 'standard input')} and ${name(to, 'standard output')} are the same file: use another --out`,
  );
}

/** Makes a file for the owner alone. @throws the system's error where something of that name exists, be it a link */
export function createPrivate(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW, PRIVATE);
}

/** Opens a file that {@link createPrivate} made. @throws the system's error for a link */
export function openPrivate(path: string): number {
  return openSync(path, constants.O_RDWR | NO_FOLLOW);
}

/** Writes all of the bytes at a position. Returns their number. */
export function writeAt(file: number, bytes: Uint8Array, position: number): number {
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written, bytes.length - written, position + written);
  return bytes.length;
}

/**
 * Gives a complete file its name.
 * @param replaces whether a file of that name may be there, and is replaced
 * @throws {Failure} where one is there that must not be replaced: both are kept
 */
export function publish(complete: string, path: string, replaces: boolean): void {
  if (replaces) {
    renameSync(complete, path);
    return;
  }
  try {
    linkSync(complete, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not every file system has hard links.
    if (code === 'EEXIST' || existsSync(path)) {
      throw new Failure(`${path} has appeared in the meantime, and was not overwritten: the rows are in ${complete}`);
    }
    renameSync(complete, path);
    return;
  }
  rmSync(complete);
}

/**
 * Writes a whole file. It is complete at any moment: that of before, if there was one, or the new one.
 * @throws {UsageError} where a file exists and `force` is not set
 * @throws {Failure} where it cannot be written; then nothing has changed
 */
export function writeWhole(target: OutputTarget & { readonly kind: 'file' }, text: string, force: boolean): void {
  const { path, exists } = target;
  if (exists && !force) throw new UsageError(`${path} exists: use --force to overwrite it`);
  const part = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = createPrivate(part);
    try {
      writeAt(file, Buffer.from(text), 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    publish(part, path, exists);
  } catch (error) {
    if (error instanceof Failure) throw error;
    rmSync(part, { force: true });
    if (isSystemError(error)) throw new Failure(`--out ${path}: ${systemError(error)}`);
    throw error;
  }
}

function isOursOrRoots({ uid }: Stats): boolean {
  return process.getuid === undefined || uid === 0 || uid === process.getuid();
}

function lstatOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** `undefined` for what is not there or cannot be looked at. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function fstatOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined;
  }
}
