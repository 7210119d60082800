/**
 * Owns: all that the command line prints. Lines hold text from cookies, the DCS, files and arguments, so every one is shown
 * escaped: it can neither control the terminal nor begin a line of its own.
 */
import { escaped } from '../handed-over/showing';

/** One line. */
export function print(stream: NodeJS.WritableStream, line: string): void {
  stream.write(`${escaped(line)}\n`);
}

/** One line of JSON, with the same value, in which characters that a terminal would act upon are escaped. */
export function printJson(stream: NodeJS.WritableStream, value: unknown): void {
  print(stream, JSON.stringify(value));
}

/** Text of several lines that is all our own, such as a help. */
export function printOwnText(stream: NodeJS.WritableStream, text: string): void {
  stream.write(`${text}\n`);
}
