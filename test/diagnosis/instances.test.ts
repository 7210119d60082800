import express, { type RequestHandler } from 'express';
import { type AamSegments, aamSegments, createDcsClient } from 'express-aam-segments';
import request from 'supertest';
import { revoked, withThrowing } from '../helpers/hostile';
import { ORG } from '../helpers/site';
import { ask } from '../routing/in-memory';

let warned: jest.SpyInstance;
const open: { close(): Promise<void> }[] = [];
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  jest.restoreAllMocks();
});

/** An account of its own for each test: warnings are once per process and account. */
let accounts = 0;
const account = () => ({ orgId: ORG, partner: `partner-${++accounts}`, cache: { maxVisitors: 100 } });
const warnings = () => warned.mock.calls.map(([message, { code }]) => [code, message]);
const PER_REQUEST = [
  'WRN_AAM_CREATED_PER_REQUEST',
  expect.stringMatching(/while a request was served, for the second time\. Is it called in each request/),
];
const MANY = [
  'WRN_AAM_CREATED_PER_REQUEST',
  expect.stringMatching(/^10 instances .* Is one created in each request\?/),
];

function created(options = account()): AamSegments {
  const aam = aamSegments(options) as AamSegments;
  open.push(aam);
  return aam;
}

async function visits(handler: RequestHandler, count: number): Promise<void> {
  const app = express().use(handler, (_req, res) => void res.end());
  for (let n = 0; n < count; n++) await request(app).get('/');
}

describe('an instance that is created in each request', () => {
  it('is warned about at the second request, once', async () => {
    const options = account();
    const perRequest: RequestHandler = (req, res, next) => created(options)(req, res, next);
    await visits(perRequest, 1);
    expect(warnings()).toEqual([]);
    await visits(perRequest, 1);
    expect(warnings()).toEqual([PER_REQUEST]);
    await visits(perRequest, 3);
    expect(warnings()).toHaveLength(1);
  });

  it('is warned about in a router of its own, and if it is closed after each request', async () => {
    const options = account();
    await visits((req, res, next) => {
      const aam = aamSegments(options);
      const router = express.Router().use(aam);
      res.once('close', () => aam.close());
      router(req, res, next);
    }, 2);
    expect(warnings()).toEqual([PER_REQUEST]);
  });

  it('is warned about when many are open, if it is used later or not as a middleware', async () => {
    const options = account();
    const closed = aamSegments(options);
    for (let n = 0; n < 2; n++) await closed.close();
    await visits(async (req, res, next) => {
      const aam = created(options);
      await new Promise(setImmediate);
      aam(req, res, next);
    }, 9);
    expect(warnings()).toEqual([]);
    await visits((_req, _res, next) => {
      created(options);
      next();
    }, 1);
    expect(warnings()).toEqual([MANY]);
  });
});

describe('no warning is given', () => {
  afterEach(() => expect(warnings()).toEqual([]));

  it('for one that is created when it is needed, and kept', async () => {
    let aam: AamSegments | undefined;
    await visits((req, res, next) => {
      aam ??= created();
      aam(req, res, next);
    }, 12);
  });

  it('for one of each customer of a site that serves several', async () => {
    const customers = new Map<string, AamSegments>();
    let n = 0;
    await visits((req, res, next) => {
      const options = account();
      const aam = created(options);
      customers.set(`${n++}`, aam);
      aam(req, res, next);
    }, 12);
    expect(customers.size).toBe(12);
  });

  it('for those that are created at startup, and for those that are closed', async () => {
    const options = account();
    const few = Array.from({ length: 8 }, () => created(options));
    await Promise.all(few.map((aam) => visits(aam, 1)));
    for (let n = 0; n < 3; n++) {
      const aam = aamSegments(options);
      await aam.close();
      await aam.close();
    }
  });

  it('for clients that are closed', async () => {
    const { orgId, partner } = account();
    for (let n = 0; n < 10; n++) await createDcsClient({ orgId, partner }).close();
  });

  it('for clients and instances that are few of each', () => {
    const options = account();
    for (let n = 0; n < 6; n++) open.push(created(options), createDcsClient({ orgId: ORG, partner: options.partner }));
  });

  it('for tests that make up a request for an instance that they have just created', async () => {
    const options = account();
    for (let n = 0; n < 2; n++) {
      await ask(
        express().use(created(options), (_req, res) => void res.end('ok')),
        '/',
      );
      created(options)({} as never, {} as never, () => {});
      created(options)(withThrowing({}, ['socket']) as never, {} as never, () => {});
      created(options)({ socket: revoked() } as never, {} as never, () => {});
    }
  });
});
