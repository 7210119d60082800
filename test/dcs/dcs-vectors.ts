import vectors from '../vectors/dcs.json';

interface Row {
  readonly id: string;
  readonly description: string;
  // biome-ignore lint/suspicious/noExplicitAny: rows differ in what they have
  readonly input: any;
  // biome-ignore lint/suspicious/noExplicitAny: rows differ in what they have
  readonly expected: any;
}

const rows: readonly Row[] = vectors.rows;

/** Requests to a DCS. */
export const requestRows = rows.filter(({ input }) => input.partnerHost !== undefined);

/** Answers with HTTP 200. */
export const replyRows = rows.filter((row) => !requestRows.includes(row) && row.input.status === 200);

/** Answers with another HTTP status. */
export const statusRows = rows.filter((row) => !requestRows.includes(row) && !replyRows.includes(row));

/** Answers with a cookie destination to be parsed. */
export const destinationRows = rows.filter(({ input, expected }) => input.format ?? expected.keyValues);
