import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { createDcsClient, type DcsClient } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import request from 'supertest';
import { SEGMENTS, type Segment } from '../../example-app/aam';
import { crmDesk } from '../../example-app/crm';
import { openStore } from '../../example-app/crm-store';
import { CRM_SOURCE } from '../../example-app/customers';
import { importCustomers } from '../../example-app/nightly-import';
import { ORG } from '../helpers/site';

let simulator: DcsSimulator;
let client: DcsClient<Segment>;
let folder: string;

beforeEach(async () => {
  simulator = await createDcsSimulator({ segmentIds: true });
  client = createDcsClient({
    orgId: ORG,
    partner: 'acme',
    segments: SEGMENTS,
    dcs: { ...simulator.dcs, failureCooldownMs: 0 },
  });
  folder = mkdtempSync(join(tmpdir(), 'crm-'));
});

afterEach(async () => {
  jest.restoreAllMocks();
  await client.close();
  await simulator.close();
  rmSync(folder, { recursive: true });
});

const database = () => join(folder, 'crm.sqlite');
const customer = (id: string) => simulator.customer(CRM_SOURCE, id);

function desk(id?: string) {
  const app = express();
  app.set('view engine', 'ejs').set('views', join(__dirname, '..', '..', 'example-app', 'views'));
  app.use(crmDesk({ client, database: database() }));
  return request(app)
    .get('/crm')
    .query(id === undefined ? {} : { customer: id });
}

describe('the customer desk', () => {
  it('shows the segments of a customer, by name', async () => {
    customer('C-1002').in(SEGMENTS.golfFans).in(SEGMENTS.highValue).in(77);
    const { status, text, headers } = await desk('C-1002');
    expect(status).toBe(200);
    for (const shown of [
      'In 3 segments',
      '<li>Golf fans</li>',
      '<li>High value</li>',
      '984263 985264 77',
      '<dd>61</dd>',
    ]) {
      expect(text).toContain(shown);
    }
    expect(headers['cache-control']).toBe('private, no-store');
  });

  it('makes no call before a customer is looked up', async () => {
    expect((await desk()).text).toContain('Customer number');
    expect(simulator.requests).toEqual([]);
  });

  it.each([
    ['is in no segment', 'C-1', () => {}, 200, 'In no segment'],
    ['has opted out', 'C-2', () => customer('C-2').optOut(), 200, 'Excluded: opted-out'],
    ['cannot be one', '\u0001', () => {}, 400, 'Invalid customer number'],
    ['is asked about while the DCS is down', 'C-3', () => simulator.fault({ kind: 'reset' }), 503, 'No answer from'],
  ])('reports a customer who %s', async (_name, id, prepare, status, headline) => {
    prepare();
    const response = await desk(id);
    expect([response.status, response.text]).toEqual([status, expect.stringContaining(headline)]);
  });

  it('escapes the input', async () => {
    const { text } = await desk('"><script>alert(1)</script>');
    expect(text).not.toContain('<script>');
    expect(text).toContain('&lt;script&gt;');
  });
});

// Node has SQLite from 22.13 on; on Node 20 an error says which package to install.
const hasSqlite = process.getBuiltinModule('node:sqlite') !== undefined;

describe(`the nightly import on Node ${process.versions.node}`, () => {
  const importFile = async (text: string) => {
    const path = join(folder, 'customers.csv');
    writeFileSync(path, text);
    const store = openStore(database());
    try {
      return await importCustomers(path, client, store);
    } finally {
      store.close();
    }
  };
  const found = (id: string) => {
    const store = openStore(database());
    try {
      return store.find(id)?.segments;
    } finally {
      store.close();
    }
  };

  if (!hasSqlite) {
    it('says what to install', () => {
      expect(() => openStore(database())).toThrow(/has no built-in SQLite\. Run: npm install --no-save better-sqlite3/);
    });
    return;
  }

  it('keeps the segments of a customer without an answer, not of one who opted out', async () => {
    jest.spyOn(console, 'error').mockImplementation(() => {});
    for (const id of ['C-1', 'C-2', 'C-3']) customer(id).in(SEGMENTS.golfFans);
    const file = 'customer_id\nC-1\nC-2\nC-3\n';
    expect(await importFile(file)).toEqual({ imported: 3, failed: 0 });
    customer('C-1').in(SEGMENTS.highValue);
    customer('C-2').optOut();
    customer('C-3').fails(200);
    expect(await importFile(file)).toEqual({ imported: 2, failed: 1 });
    expect([found('C-1'), found('C-2'), found('C-3')]).toEqual([['golfFans', 'highValue'], [], ['golfFans']]);
    expect(jest.mocked(console.error).mock.calls).toEqual([['no answer for a customer: ERR_AAM_DCS_REJECTED']]);
    expect((await desk('C-1')).text).toMatch(/Last import<\/dt><dd>Golf fans, High value/);
  });

  it('imports a file as a whole or not at all', async () => {
    await expect(importFile('customer_id\nC-1\n"C-2\n')).rejects.toThrow('Quote Not Closed');
    expect(found('C-1')).toBeUndefined();
    await expect(importFile('id\nC-1\n')).rejects.toThrow("has no column 'customer_id'");
  });
});
