import { type AamError, aamSegments, createDcsClient } from 'express-aam-segments';
import { closeClients, createClient } from '../../helpers/client';
import { ECID, ORG } from '../../helpers/site';
import { ecidOf } from './flow-site';

afterEach(closeClients);

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: AamError) => error,
  ) as Promise<AamError>;

type Desk = Awaited<ReturnType<typeof createClient>>;
const VISITOR = { ecid: ECID, region: 9 };
const UNWELL = { kind: 'status', status: 503 } as const;

/** What rejects, after some preparation. */
const REJECTIONS: readonly [
  name: string,
  code: string,
  prepare: (desk: Desk) => unknown,
  reject: (desk: Desk) => Promise<unknown>,
][] = [
  [
    'of one failed call',
    'ERR_AAM_DCS_STATUS',
    ({ simulator }) => simulator.fault(UNWELL, { calls: 1 }),
    ({ client }) => client.lookup(VISITOR),
  ],
  ['after close()', 'ERR_AAM_CLOSED', ({ client }) => client.close(), ({ client }) => client.lookup(VISITOR)],
  [
    'of events after close()',
    'ERR_AAM_CLOSED',
    ({ client }) => client.close(),
    ({ client }) => client.sendEvent(VISITOR, { c_n: 1 }),
  ],
  [
    'of an open breaker',
    'ERR_AAM_DCS_CIRCUIT_OPEN',
    ({ client, simulator }) => {
      simulator.fault(UNWELL, { calls: 1 });
      return errorOf(client.lookup(VISITOR));
    },
    ({ client }) => client.lookup({ ecid: ecidOf(1), region: 9 }),
  ],
  [
    'after too many calls',
    'ERR_AAM_DCS_RATE_LIMITED',
    ({ client }) => Promise.all([client.lookup(VISITOR), client.sendEvent(VISITOR, { c_n: 1 })]),
    ({ client }) => client.lookup({ ...VISITOR, customerIds: [{ id: 'u1', integrationCode: 'crm' }] }),
  ],
  [
    'of dropped events',
    'ERR_AAM_EVENT_DROPPED',
    ({ client, simulator }) => {
      // One runs, one waits: the rest is dropped.
      simulator.fault({ kind: 'hang' }, { calls: 1 });
      for (let n = 0; n < 6; n++) void errorOf(client.sendEvent(VISITOR, { c_n: n }));
      return simulator.received(1);
    },
    ({ client }) => {
      const sent = client.sendEvent(VISITOR, { c_n: 1 });
      void errorOf(client.sendEvent(VISITOR, { c_n: 2 }));
      return sent;
    },
  ],
];

describe('rejections', () => {
  it.each(REJECTIONS)('%s are errors of their own, with a stack of their own', async (_name, code, prepare, reject) => {
    const desk = await createClient({
      dcs: {
        breaker: { minCalls: 1 },
        failover: false,
        maxCallsPerMinute: 2,
        maxQueuedEvents: 1,
        failureCooldownMs: 0,
        timeoutMs: 1_000,
      },
    });
    await prepare(desk);
    const errors = await Promise.all([1, 2, 3].map(() => errorOf(reject(desk))));
    expect(errors.map((error) => error.code)).toEqual([code, code, code]);
    expect(new Set(errors).size).toBe(3);
    // Of the rejection, not of the load of a module.
    for (const { stack } of errors) expect(stack).toMatch(/(?:lookup-visitor|answer-resolver|dcs-client)\.ts/);
  });
});

describe('dcs.timeoutMs', () => {
  it('of 0 would fail every call, and is refused at construction', () => {
    const options = { orgId: ORG, partner: 'acme', dcs: { timeoutMs: 0 } };
    const refused = expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION' });
    expect(() => aamSegments(options)).toThrow(refused);
    expect(() => createDcsClient(options)).toThrow(refused);
  });
});

describe('lookupMany() of a source without an end', () => {
  it('ends with ERR_AAM_CLOSED when the client is closed meanwhile', async () => {
    const { client } = await createClient();
    async function* endless() {
      for (let n = 0; ; n++) yield { ecid: ecidOf(n) };
    }
    let results = 0;
    const iterate = async () => {
      for await (const { error } of client.lookupMany(endless(), { concurrency: 4 })) {
        expect(error?.code).toBeUndefined();
        if (++results === 50) void client.close();
      }
    };
    await expect(iterate()).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
    expect(results).toBeGreaterThanOrEqual(50);
  });
});
