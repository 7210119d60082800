import { closeSites, cookieOf, createSite, GOLF } from '../helpers/site';

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const ecidOf = (n: number) => String(n).padStart(38, '5');
const advice = () => warned.mock.calls.map(([message, { code }]) => [code, message]);

async function viewMany(view: (cookie: string) => Promise<unknown>, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await view(cookieOf(ecidOf(n)));
}

describe('a mistake in the configuration', () => {
  it.each([
    [1, /partner/],
    [2, /orgId/],
    [198, /country/],
    [199, /country/],
    [311, /encoded/],
  ])('that the DCS reports as code %d is warned about once, and kept in stats()', async (code, about) => {
    const { view, simulator, aam } = await createSite({ maxWaitMs: 10_000, dcs: { failureCooldownMs: 0 } });
    const body = JSON.stringify({ errors: [{ code, msg: '' }], uuid: '1', stuff: [], segments: [] });
    simulator.fault({ kind: 'body', body });
    await viewMany(view, 0, 3);
    expect(advice()).toEqual([['WRN_AAM_DCS', expect.stringMatching(about)]]);
    expect(aam.stats().advice).toEqual([expect.stringContaining(`DCS error ${code}: `)]);
  });

  it.each([171, 204, 300, 999])('is not what code %d means', async (code) => {
    const { view, simulator, aam } = await createSite({ maxWaitMs: 10_000 });
    const body = JSON.stringify({ errors: [{ code, msg: '' }], uuid: '1', stuff: [], segments: [] });
    simulator.fault({ kind: 'body', body });
    await view();
    expect([advice(), aam.stats().advice]).toEqual([[], []]);
  });

  it('is described without identifiers', async () => {
    const { view, simulator } = await createSite({ maxWaitMs: 10_000, simulator: { segmentIds: false } });
    simulator.fault({ kind: 'body', body: '{"errors":[{"code":1,"msg":""}]}' }, { calls: 1 });
    await viewMany(view, 0, 12);
    expect(advice()).toHaveLength(2);
    for (let n = 0; n < 12; n++) expect(JSON.stringify(advice())).not.toContain(ecidOf(n));
  });
});

describe('segment ids', () => {
  it('are reported missing at the first answer without a list of ids, once', async () => {
    const { view, aam } = await createSite({ maxWaitMs: 10_000, simulator: { segmentIds: false } });
    await viewMany(view, 0, 1);
    expect(advice()).toEqual([['WRN_AAM_NO_SEGMENT_IDS', expect.stringContaining('enable d_cts')]]);
    expect(aam.stats().advice).toEqual([expect.stringContaining('enable d_cts')]);
    await viewMany(view, 1, 5);
    expect(advice()).toHaveLength(1);
  });

  it('are not reported missing any more when an answer has them after all', async () => {
    const { view, simulator, aam } = await createSite({ maxWaitMs: 10_000 });
    simulator.fault({ kind: 'body', body: '{"uuid":"1","stuff":[]}' }, { calls: 1 });
    await viewMany(view, 0, 2);
    expect([advice().length, aam.stats().advice]).toEqual([1, []]);
  });

  it('are not reported missing when they are not requested', async () => {
    const options = {
      maxWaitMs: 10_000,
      simulator: { segmentIds: false },
      dcs: { segmentIds: false },
      destinations: { aam: {} },
    } as const;
    const { view } = await createSite(options);
    await viewMany(view, 0, 12);
    expect(advice()).toEqual([]);
  });

  it('are taken for enabled once one answer had them', async () => {
    const { view, simulator } = await createSite({ maxWaitMs: 10_000 });
    simulator.visitor(ecidOf(0)).in(GOLF);
    await viewMany(view, 0, 1);
    simulator.fault({ kind: 'body', body: '{"uuid":"1","stuff":[]}' });
    await viewMany(view, 1, 15);
    expect(advice()).toEqual([]);
  });

  it('are not reported missing when the answers have an empty list of them', async () => {
    const { view } = await createSite({ maxWaitMs: 10_000 });
    await viewMany(view, 0, 12);
    expect(advice()).toEqual([]);
  });
});
