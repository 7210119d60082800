/** Owns: `bulk` rows as NDJSON: each line stays as it is, with a key `aam` added. Lines that are not objects get an error. */
import { isRecord } from '../../option-checks';
import { UsageError } from '../command';
import { endOfLine, type InputText } from '../input-text';
import { membersOf, withMember } from './json-members';
import {
  type CustomerSource,
  FIELDS,
  type Field,
  MISSING_SOURCE,
  type Outcome,
  type Row,
  type RowFormat,
  visitorIn,
} from './rows';

export class NdjsonRows implements RowFormat {
  readonly #text: InputText;
  readonly #source: CustomerSource;

  constructor(text: InputText, source: CustomerSource) {
    this.#text = text;
    this.#source = source;
  }

  get inputDigest(): string {
    return this.#text.digest;
  }

  async open(): Promise<string> {
    await this.#text.open();
    return '';
  }

  async *read(isWanted: (row: Row) => boolean): AsyncGenerator<Row> {
    let index = 0;
    for (;;) {
      const content = await this.#text.next(endOfLine);
      if (content === undefined) return;
      this.#text.line++;
      if (content.trim() === '') continue;
      const fields = this.#fieldsIn(content);
      const visitor = visitorIn((name) => fields[name], this.#source);
      if (index === 0 && lacksSource(fields, this.#source)) {
        throw new UsageError(`line ${this.#text.line}: ${MISSING_SOURCE}`);
      }
      const customerIds = fields.customerIds ?? visitor.customerIds;
      const row = { ...visitor, customerIds, index, content } as Row;
      if (isWanted(row)) yield row;
      index++;
    }
  }

  bytesOf(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): Buffer {
    const lines = rows.map(([{ content }, { status, reason, ids, names, error }]) => {
      const aam = { status, reason, segmentIds: ids === '' ? [] : ids.split(';'), segmentNames: names, error };
      const added = this.#text.encoded(JSON.stringify(aam));
      return `${withMember(isObject(content) ? content : this.#wrapped(content), 'aam', added)}\n`;
    });
    return this.#text.bytes(`${isFirst ? this.#text.mark : ''}${lines.join('')}`);
  }

  /** The fields that name the visitor, without those that are `null`. Numbers of digits are taken as they are written. */
  #fieldsIn(content: string): Partial<Record<Field | 'customerIds', unknown>> {
    const decoded = this.#text.decoded(content);
    const object = decoded === undefined ? undefined : parsed(decoded);
    if (decoded === undefined || !isRecord(object)) return {};
    const fields: Partial<Record<Field | 'customerIds', unknown>> = {};
    let written: Map<string, string> | undefined;
    for (const name of [...FIELDS, 'customerIds'] as const) {
      const value = Object.hasOwn(object, name) ? object[name] : undefined;
      if (typeof value === 'number') {
        written ??= new Map(membersOf(decoded).members.map(({ key, start, end }) => [key, decoded.slice(start, end)]));
        const digits = written.get(name) as string;
        fields[name] = /^\d+$/.test(digits) ? digits : value;
      } else if (value !== null && value !== '') fields[name] = value;
    }
    return fields;
  }

  #wrapped(content: string): string {
    const line = this.#text.decoded(content) ?? Buffer.from(content, 'latin1').toString('utf8');
    return this.#text.encoded(JSON.stringify({ line }));
  }
}

function lacksSource(fields: Partial<Record<Field, unknown>>, source: CustomerSource): boolean {
  const { customer_id, data_source_id, integration_code } = fields;
  return customer_id !== undefined && (source ?? data_source_id ?? integration_code) === undefined;
}

/** JSON has no structure beyond ASCII, so units need not be decoded to see whether they are an object. */
function isObject(content: string): boolean {
  return isRecord(parsed(content));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
