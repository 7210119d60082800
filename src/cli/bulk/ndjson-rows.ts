/** Owns: `bulk` rows as NDJSON. Lines that are not objects are passed through with an error. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { isRecord } from '../../option-checks';
import { type CustomerSource, type Outcome, type Row, type RowFormat, visitorIn } from './rows';

export class NdjsonRows implements RowFormat {
  readonly #input: Readable;
  readonly #source: CustomerSource;

  constructor(input: Readable, source: CustomerSource) {
    this.#input = input;
    this.#source = source;
  }

  async *read(isWanted: (row: Row) => boolean): AsyncGenerator<Row> {
    let index = 0;
    for await (const line of createInterface({ input: this.#input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.trim() === '') continue;
      const content = objectIn(line);
      const fields = typeof content === 'string' ? {} : content;
      const visitor = visitorIn((name) => fields[name], this.#source);
      const customerIds = fields.customerIds ?? visitor.customerIds;
      const row = { ...visitor, customerIds, index, content } as Row;
      if (isWanted(row)) yield row;
      index++;
    }
  }

  stringify(rows: readonly (readonly [Row, Outcome])[]): string {
    return rows
      .map(([{ content }, { status, reason, ids, names, error }]) => {
        const aam = { status, reason, segmentIds: ids === '' ? [] : ids.split(';'), segmentNames: names, error };
        return `${JSON.stringify({ ...(typeof content === 'string' ? { line: content } : content), aam })}\n`;
      })
      .join('');
  }
}

function objectIn(line: string): Readonly<Record<string, unknown>> | string {
  try {
    const content: unknown = JSON.parse(line);
    return isRecord(content) ? content : line;
  } catch {
    return line;
  }
}
