/** What tools that write down the URLs of calls see: they listen where undici publishes its requests. */
import diagnostics from 'node:diagnostics_channel';
import { closeSites, createSite, ECID, GOLF } from '../helpers/site';

afterEach(closeSites);

const CUSTOMER = 'ann@customer.example';

/** The URLs of a lookup, and of one with a customer id. */
async function urlsWith(method: 'get' | 'post'): Promise<string[]> {
  const urls: string[] = [];
  const note = (message: unknown) => {
    const { request } = message as { request: { origin: string | URL; path: string } };
    urls.push(`${request.origin}${request.path}`);
  };
  diagnostics.subscribe('undici:request:create', note);
  try {
    const site = await createSite({ dcs: { method } });
    site.simulator.visitor(ECID).in(GOLF);
    expect(await site.view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    await site.aam.lookup({ ecid: ECID, customerIds: [{ dataSourceId: 7, id: CUSTOMER }] });
    expect(site.simulator.requests.map((each) => each.method)).toEqual([method, method].map((m) => m.toUpperCase()));
    expect(site.simulator.requests.every(({ params }) => params.d_mid === ECID)).toBe(true);
  } finally {
    diagnostics.unsubscribe('undici:request:create', note);
  }
  return urls;
}

it("has no id in the URL of a call with dcs.method 'post'", async () => {
  const urls = await urlsWith('post');
  expect(urls.map((url) => new URL(url).pathname + new URL(url).search)).toEqual(['/event', '/event']);
});

it("has ids in the URL with 'get', so that the test above can fail", async () => {
  const urls = (await urlsWith('get')).join('\n');
  expect(urls).toContain(ECID);
  expect(urls).toContain(encodeURIComponent(CUSTOMER));
});
