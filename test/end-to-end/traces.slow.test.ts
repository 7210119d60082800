import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ECID, ORG } from '../helpers/site';

jest.setTimeout(60_000);

const ROOT = join(__dirname, '..', '..');
const CUSTOMER = 'ann@customer.example';

interface Traced {
  readonly status: string;
  readonly spans: readonly {
    readonly name: string;
    readonly by: string;
    readonly attributes: Record<string, unknown>;
  }[];
  readonly calls: readonly { readonly traceparent?: string; readonly mid: string }[];
}

async function traced(method: 'get' | 'post'): Promise<Traced> {
  const script = join(__dirname, 'traced-site.ts');
  const ids = JSON.stringify({ ecid: ECID, orgId: ORG, customerId: CUSTOMER });
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, method, ids], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json') },
  });
  return JSON.parse(stdout) as Traced;
}

/** The calls to the DCS, as the instrumentation of undici has seen them. */
const callsIn = ({ spans }: Traced) =>
  spans.filter(({ attributes }) => String(attributes['url.full']).includes('/event'));

describe('under the standard instrumentations of http, undici and Express', () => {
  it("no span has an id of the visitor with dcs.method 'post'", async () => {
    const seen = await traced('post');
    expect([seen.status, seen.calls.map(({ mid }) => mid)]).toEqual(['fresh', [ECID, ECID]]);
    const written = JSON.stringify(seen.spans);
    for (const id of [ECID, CUSTOMER, encodeURIComponent(CUSTOMER)]) expect(written).not.toContain(id);
    // All three have recorded something: the page, its route, and both calls.
    const by = new Set(seen.spans.map((span) => span.by.split('/').at(-1)));
    expect(by).toEqual(new Set(['instrumentation-http', 'instrumentation-undici', 'instrumentation-express']));
    expect(callsIn(seen)).toHaveLength(2);
  });

  it("the URL of a span has the visitor's ids with 'get', and Adobe gets the traceparent with both", async () => {
    const seen = await traced('get');
    for (const { attributes } of callsIn(seen)) {
      expect(attributes['url.full']).toContain(ECID);
      expect(attributes['url.full']).toContain(encodeURIComponent(CUSTOMER));
    }
    expect(callsIn(seen)).toHaveLength(2);
    expect(seen.calls.every(({ traceparent }) => /^00-[0-9a-f]{32}-/.test(String(traceparent)))).toBe(true);
  });
});
