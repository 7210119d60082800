/**
 * Owns: CSV as spreadsheets write it: which character separates, where rows end, what a cell says, and how our own cells are
 * written. Cells keep their text as it is, quotes included, so that what is passed through does not change.
 */
import { UsageError } from '../command';

const DELIMITERS: readonly string[] = [',', ';', '\t', '|'];
/** What Excel, LibreOffice and Google Sheets take as the beginning of a formula (OWASP, "CSV Injection"). */
const FORMULA = /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/;

/** @throws {UsageError} for what cannot separate cells */
export function delimiterOf(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const delimiter = /^(?:tab|\\t)$/i.test(given) ? '\t' : given;
  if (!/^[^"\r\n\w\s]$|^\t$/.test(delimiter) || delimiter > '~') {
    throw new UsageError(`--delimiter must be one character such as ',', ';' or 'tab', got '${given}'`);
  }
  return delimiter;
}

/** The delimiter with which the first line names the most columns that are known; a comma where it makes no difference. */
export function detectedDelimiter(start: string, isKnown: (cell: string) => boolean): string {
  const counted = DELIMITERS.map((delimiter) => {
    const end = endOfRow(start, true, delimiter, false)?.end ?? start.length;
    return { delimiter, known: cellsOf(start.slice(0, end), delimiter).filter(isKnown).length };
  });
  return counted.reduce((best, each) => (each.known > best.known ? each : best)).delimiter;
}

/**
 * Where the first row of a text ends. Line breaks within quotes do not count, nor does a carriage return alone, except in
 * files whose lines all end with one.
 * @returns `undefined` where more text is needed; `end` is -1 for a quote that is not closed
 */
export function endOfRow(
  text: string,
  isAtEnd: boolean,
  delimiter: string,
  endsWithReturn: boolean,
): { readonly end: number; readonly next: number } | undefined {
  const lineEnd = endsWithReturn ? '\r' : '\n';
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      at = afterQuotes(text, at);
      if (at === -1) return isAtEnd ? { end: -1, next: text.length } : undefined;
      if (at === text.length && !isAtEnd) return undefined;
    }
    const end = text.indexOf(lineEnd, at);
    const line = end === -1 ? text.slice(at) : text.slice(at, end);
    const separator = line.includes('"') ? line.indexOf(delimiter) : -1;
    if (separator !== -1) {
      at += separator + 1;
      continue;
    }
    if (end === -1) return isAtEnd ? { end: text.length, next: text.length } : undefined;
    return { end: !endsWithReturn && text[end - 1] === '\r' ? end - 1 : end, next: end + 1 };
  }
}

/** The position after a quoted cell that begins at `at`; -1 where its end is missing. */
function afterQuotes(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote !== -1; quote = text.indexOf('"', quote + 2)) {
    if (text[quote + 1] !== '"') return quote + 1;
  }
  return -1;
}

/** The cells of a row as they are written. */
export function cellsOf(row: string, delimiter: string): string[] {
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    const from = row[at] === '"' ? Math.max(at, afterQuotes(row, at)) : at;
    const end = row.indexOf(delimiter, from);
    cells.push(end === -1 ? row.slice(at) : row.slice(at, end));
    if (end === -1) return cells;
    at = end + 1;
  }
}

/** What a cell says. */
export function textIn(cell: string): string {
  return cell.length > 1 && cell.startsWith('"') && cell.endsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell;
}

/** A cell of our own. */
export function cellOf(value: string, delimiter: string): string {
  const needsQuotes = /["\r\n]/.test(value) || value.includes(delimiter);
  return needsQuotes ? `"${value.replaceAll('"', '""')}"` : value;
}

/** The cell with an apostrophe before a text that a spreadsheet would run as a formula. @param decoded what it says */
export function safeCell(cell: string, decoded: string): string {
  if (!FORMULA.test(decoded)) return cell;
  return cell.startsWith('"') ? `"'${cell.slice(1)}` : `'${cell}`;
}
