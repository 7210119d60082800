import { Readable } from 'node:stream';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { CsvRows } from '../../../src/cli/bulk/csv-rows';
import { NdjsonRows } from '../../../src/cli/bulk/ndjson-rows';
import type { Outcome, Row, RowFormat } from '../../../src/cli/bulk/rows';
import { InputText } from '../../../src/cli/input-text';

const OUTCOME: Outcome = { status: 'fresh', reason: '', ids: '1;2', names: ['a'], error: '' };
const OWN = ['fresh', '', '1;2', 'a', ''];
const OWN_COLUMNS = ['aam_status', 'aam_reason', 'aam_segment_ids', 'aam_segment_names', 'aam_error'];

/** Text in pieces of a few bytes, so that every cut occurs. */
const inputOf = (bytes: Buffer, size = 3) =>
  new InputText(
    Readable.from(
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, n * size + size)),
    ),
    'the input',
  );

async function through(format: RowFormat): Promise<{ rows: Row[]; output: Buffer }> {
  await format.open();
  const rows: Row[] = [];
  for await (const row of format.read(() => true)) rows.push(row);
  return {
    rows,
    output: format.bytesOf(
      rows.map((row) => [row, OUTCOME] as const),
      true,
    ),
  };
}

const csv = (bytes: Buffer, more = {}) =>
  through(new CsvRows(inputOf(bytes), { source: undefined, delimiter: undefined, hasSafeCells: false, ...more }));
const ndjson = (text: string | Buffer) => through(new NdjsonRows(inputOf(Buffer.from(text as string)), undefined));

const ENCODINGS = {
  utf8: (text: string) => Buffer.from(text),
  'utf8 with a mark': (text: string) => Buffer.from(`\ufeff${text}`),
  utf16le: (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  utf16be: (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
};

/** A CSV file: each cell is quoted or not, as it likes. */
const files = fc.record({
  delimiter: fc.constantFrom(',', ';', '\t', '|'),
  lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
  encoding: fc.constantFrom(...(Object.keys(ENCODINGS) as (keyof typeof ENCODINGS)[])),
  endsWithLineEnd: fc.boolean(),
  rows: fc.array(
    fc.array(fc.tuple(fc.boolean(), fc.stringMatching(/^[a-zü=€"',;|\t\r\n 0-9\u{1f600}]{0,6}$/u)), {
      minLength: 2,
      maxLength: 2,
    }),
    { maxLength: 4 },
  ),
});

function written([isQuoted, text]: readonly [boolean, string]): string {
  return isQuoted || /^"|[,;|\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

describe('CSV passed through bulk', () => {
  it('keeps every byte of every dialect, and says what csv-parse says', async () => {
    await fc.assert(
      fc.asyncProperty(files, async ({ delimiter, encoding, endsWithLineEnd, rows, ...file }) => {
        // A header alone, without the end of its line, does not tell how lines end.
        const lineEnd = rows.length > 0 || endsWithLineEnd ? file.lineEnd : '\n';
        const lines = rows.map(([first, second]) =>
          ['1', written(first as never), written(second as never)].join(delimiter),
        );
        const header = ['Region', '"ECID"', 'name'].join(delimiter);
        const text = `${[header, ...lines].join(lineEnd)}${endsWithLineEnd ? lineEnd : ''}`;
        const result = await csv(ENCODINGS[encoding](text));
        const expected = [header, ...lines].map((line, n) => {
          const own = OWN.map((cell) => (cell.includes(delimiter) ? `"${cell}"` : cell));
          return `${[line, ...(n === 0 ? OWN_COLUMNS : own)].join(delimiter)}${lineEnd}`;
        });
        expect(result.output).toEqual(ENCODINGS[encoding](expected.join('')));
        const asParsed = parse(text, { delimiter, record_delimiter: lineEnd, relax_quotes: true }) as string[][];
        expect(result.rows.map(({ ecid }) => ecid)).toEqual(
          asParsed.slice(1).map(([, ecid]) => ecid?.trim() || undefined),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('keeps bytes that are not UTF-8, and takes no id from them', async () => {
    const { rows, output } = await csv(Buffer.from('customer_id;integration_code\nM\xfcller;crm\n', 'latin1'));
    expect(output.toString('latin1')).toContain('\nM\xfcller;crm;fresh;;');
    expect(rows[0]?.customerIds?.[0]?.id).toBeNull();
  });

  it('replaces the columns of an earlier run', async () => {
    const { output } = await csv(Buffer.from('aam_error,ecid,AAM_STATUS\nold,"1",older\n'));
    expect(String(output)).toBe(`ecid,${OWN_COLUMNS}\n"1",${OWN}\n`);
  });

  it('writes formulas as text only where cells are to be safe', async () => {
    const file = Buffer.from('ecid,note\n1,=1+1\n-2,"@x, y"\n3,"+""4"\n4,a=b\n');
    const [plain, safe] = [await csv(file), await csv(file, { hasSafeCells: true })];
    expect(String(plain.output)).toContain('1,=1+1,');
    expect(String(safe.output).split('\n').slice(1)).toEqual([
      `1,'=1+1,${OWN}`,
      `'-2,"'@x, y",${OWN}`,
      `3,"'+""4",${OWN}`,
      `4,a=b,${OWN}`,
      '',
    ]);
  });

  it('decides by the given delimiter, else by the header', async () => {
    expect((await csv(Buffer.from('ecid,x;y\n1,2\n'))).rows[0]?.ecid).toBe('1');
    await expect(csv(Buffer.from('ecid,x;y\n1,2\n'), { delimiter: ';' })).rejects.toThrow(
      'must name one of the columns',
    );
  });

  it.each([
    ['', 'the input is empty'],
    ['name\nx\n', 'the first line must name one of the columns'],
    ['ecid,ECID\n1,2\n', 'names ecid twice'],
    ['customer_id\nC-1\n', 'use --source'],
    ['ecid,name\n1,2\n\n1,2,3\n', 'line 4: 3 cells, but the header has 2'],
    ['ecid\n"1\n2', 'a quote is not closed'],
    [`ecid\n"${'1'.repeat(1_100_000)}`, 'a row of more than a megabyte; is a quote not closed?'],
  ])('refuses %j clearly', async (text, message) => {
    const format = new CsvRows(inputOf(Buffer.from(text), 65_536), {
      source: undefined,
      delimiter: undefined,
      hasSafeCells: false,
    });
    await expect(through(format)).rejects.toThrow(message);
  });
});

describe('NDJSON passed through bulk', () => {
  const aam = '"aam":{"status":"fresh","reason":"","segmentIds":["1","2"],"segmentNames":["a"],"error":""}';

  it('keeps the text of every object, whatever is in it', async () => {
    const blank = fc.stringMatching(/^[ \t]{0,2}$/);
    const values = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.constantFrom('12345678901234567890', '1.10', '1e5', '-0', '"\\u0061am"', '{"aam":1}', '"}\\"{"', '"\u2028"'),
    );
    const keys = fc.stringMatching(/^[a-zü"\\]{0,4}$/).filter((key) => key !== 'aam');
    const objects = fc.array(fc.tuple(keys, values, blank), { maxLength: 4 }).map((members) => {
      return members.map(([key, value, space]) => `${space}${JSON.stringify(key)}${space}:${space}${value}`).join(',');
    });
    await fc.assert(
      fc.asyncProperty(objects, blank, async (members, space) => {
        const { output } = await ndjson(`{${members}${space}}${space}\n`);
        const between = members === '' ? [`{${space}${aam}}${space}\n`] : [`{${members},${aam}${space}}${space}\n`];
        expect(between).toContain(String(output));
        expect(JSON.parse(String(output)).aam.status).toBe('fresh');
      }),
      { numRuns: 300 },
    );
  });

  it('replaces the outcome of an earlier run in its place', async () => {
    const { output } = await ndjson('{"a":1, "aam" : {"x":[1,2]} , "b":1.10}\n');
    expect(String(output)).toBe(`{"a":1, ${aam.replace(':', ' : ')} , "b":1.10}\n`);
  });

  it('takes null as absent and numbers as they are written, behind a byte order mark too', async () => {
    const line = '{"ecid":null,"customer_id":12345678901234567890,"data_source_id":7,"region":9}';
    const { rows, output } = await ndjson(`\ufeff${line}\n`);
    expect(rows[0]).toMatchObject({
      ecid: undefined,
      region: 9,
      customerIds: [{ id: '12345678901234567890', dataSourceId: 7 }],
    });
    expect(String(output)).toBe(`\ufeff${line.slice(0, -1)},${aam}}\n`);
  });

  it.each(['"0x10"', '"1e3"', '1.0', '"-7"', '" "'])('takes %s for no data source', async (source) => {
    const { rows } = await ndjson(`{"customer_id":"C","data_source_id":${source}}\n`);
    expect(rows[0]?.customerIds?.[0]?.dataSourceId).toBeNaN();
  });

  it('names a forgotten --source, and an empty input', async () => {
    await expect(ndjson('\n{"customer_id":"C"}\n')).rejects.toThrow(
      'line 2: customer_id has no data source: use --source',
    );
    await expect(ndjson('')).rejects.toThrow('the input is empty');
  });
});
