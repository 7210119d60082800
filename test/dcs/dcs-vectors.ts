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

/** What is asked of a DCS. */
export const requestRows = rows.filter(({ input }) => input.partnerHost !== undefined);

/** Answers that are more than a status. */
export const replyRows = rows.filter((row) => !requestRows.includes(row) && row.input.status === 200);

/** Everything else: answers of which only the status counts. */
export const statusRows = rows.filter((row) => !requestRows.includes(row) && !replyRows.includes(row));

/** Answers with a cookie destination that is to be taken apart. */
export const destinationRows = rows.filter(({ input, expected }) => input.format ?? expected.keyValues);
