/**
 * Run nightly by cron: imports the segments of all customers in a CSV file into SQLite.
 * `npm run import -- customers.csv crm.sqlite`
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import { createDcsClient, type DcsClient } from 'express-aam-segments';
import { SEGMENTS } from './aam';
import { type CrmStore, openStore } from './crm-store';
import { CRM_SOURCE } from './customers';
import { startSimulation } from './simulation';

const CONCURRENCY = 16;

async function* customersIn(path: string) {
  const parser = parse({ columns: true, bom: true, skip_empty_lines: true });
  // Errors of the file, too, are thrown by the parser.
  pipeline(createReadStream(path), parser, () => {});
  for await (const { customer_id: id } of parser as AsyncIterable<Record<string, string>>) {
    if (id === undefined) throw new Error(`${path} has no column 'customer_id'`);
    yield { customerIds: [{ integrationCode: CRM_SOURCE, id }] as const };
  }
}

/** A customer without an answer keeps the segments of the last import; one who opted out has none. */
export async function importCustomers(path: string, client: DcsClient, store: CrmStore) {
  const counts = { imported: 0, failed: 0 };
  const importedAt = new Date();
  const results = client.lookupMany(customersIn(path), { concurrency: CONCURRENCY });
  await store.transaction(async () => {
    for await (const { visitor, segments, error } of results) {
      const [{ id }] = visitor.customerIds;
      if (segments !== undefined) {
        store.save(id, segments.names, importedAt);
        counts.imported++;
      } else {
        // The code only: a log should hold no customer ids.
        console.error(`no answer for a customer: ${error.code}`);
        counts.failed++;
      }
    }
  });
  return counts;
}

async function main([path = join(__dirname, 'customers.csv'), database = 'crm.sqlite']: readonly string[]) {
  const { AAM_ORG_ID, AAM_PARTNER } = process.env;
  const store = openStore(database);
  const simulation = AAM_ORG_ID && AAM_PARTNER ? undefined : await startSimulation();
  const account = simulation ?? { orgId: AAM_ORG_ID as string, partner: AAM_PARTNER as string, dcs: undefined };
  const { orgId, partner, dcs } = account;
  const client = createDcsClient({ orgId, partner, dcs, segments: SEGMENTS });
  try {
    const { imported, failed } = await importCustomers(path, client, store);
    console.log(`${imported} customers imported into ${database}, ${failed} without an answer`);
    if (failed > 0) process.exitCode = 1;
  } finally {
    await client.close();
    await simulation?.close();
    store.close();
  }
}

if (require.main === module) {
  main(process.argv.slice(2)).catch((error: Error) => {
    console.error(`Import failed, nothing was saved: ${error.message}`);
    process.exitCode = 1;
  });
}
