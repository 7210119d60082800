import fc from 'fast-check';
import { REGIONAL_ORIGINS, Regions } from '../../../src/dcs/protocol/regions';
import { RequestWriter, type SegmentIds } from '../../../src/dcs/protocol/request';
import { type CustomerId, usableCustomerIds } from '../../../src/identity/customer-ids';
import type { Visitor } from '../../../src/identity/visitor';
import { requestRows } from '../dcs-vectors';

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const ECID = '20265673158980419722735089753036633573';
const UUID = '07955261652886032950143702505894272138';

/** The request target of a lookup. */
function lookupTarget(orgId: string, segmentIds: SegmentIds): (visitor: Visitor, tcString?: string) => string {
  const writer = new RequestWriter(orgId, segmentIds);
  return (visitor, tcString) => writer.eventRequest({ visitor, tcString, signals: '', variant: '' }, '').path;
}

describe('a lookup', () => {
  it.each(requestRows)('builds the request of $id', ({ input, expected }) => {
    const origins = Object.entries(REGIONAL_ORIGINS).map(([id, origin]) => [Number(id), new URL(origin)] as const);
    const regions = new Regions(new Map(origins), new URL(`https://${input.partnerHost}`));

    expect(lookupTarget(input.orgId, false)({ ecid: input.mid, region: input.region })).toBe(expected.path);
    expect(regions.originOf(input.region).host).toBe(expected.connectHost);
  });

  it('is covered by at least one row of the vectors', () => expect(requestRows).not.toHaveLength(0));

  it.each([
    ['sid', '&d_cts=2'],
    ['legacy', '&d_cts=1'],
    [false, ''],
  ] as const)('requests segment ids %p with "%s"', (segmentIds, parameter) => {
    expect(lookupTarget(ORG, segmentIds)({ ecid: ECID })).toBe(
      `/event?d_rtbd=json&d_jsonv=1&d_mid=${ECID}&d_orgid=1FD6776A524453CC0A490D44%40AdobeOrg${parameter}`,
    );
  });

  it("has no id in its URL with the method 'post'", () => {
    const customerIds = [{ dataSourceId: 7, id: 'ann@customer.example' }];
    const question = { visitor: { ecid: ECID, customerIds }, tcString: 'tc', signals: '', variant: '' };
    const [get, post] = (['get', 'post'] as const).map((method) =>
      new RequestWriter(ORG, 'sid', method).eventRequest(question, 'https://acme.demdex.net'),
    );
    expect(post).toEqual({ method: 'POST', path: '/event', body: get?.path.replace('/event?', '') });
  });

  it('identifies a visitor without an ECID by the UUID, which needs no organisation', () => {
    expect(lookupTarget(ORG, 'sid')({ uuid: UUID })).toBe(`/event?d_rtbd=json&d_jsonv=1&d_uuid=${UUID}&d_cts=2`);
  });

  it('identifies a visitor with both ids by the ECID only', () => {
    const target = lookupTarget(ORG, 'sid')({ ecid: ECID, uuid: UUID });
    expect(new URL(target, 'https://acme.demdex.net').searchParams.get('d_mid')).toBe(ECID);
    expect(target).not.toContain('d_uuid');
  });

  it('does not contain the region, which is in the host', () => {
    const target = lookupTarget(ORG, 'sid');
    expect(target({ ecid: ECID, region: 9, regionExpiresAtMs: 1 })).toBe(target({ ecid: ECID }));
  });

  it('encodes an organisation of any characters without loss', () => {
    const orgId = 'a b&d_mid=1#?%41+@Ünï';
    const { searchParams, hash } = new URL(lookupTarget(orgId, 'sid')({ ecid: ECID }), 'https://acme.demdex.net');
    expect(Object.fromEntries(searchParams)).toEqual({
      d_rtbd: 'json',
      d_jsonv: '1',
      d_mid: ECID,
      d_orgid: orgId,
      d_cts: '2',
    });
    expect(hash).toBe('');
  });

  it('sends the TC string along with gdpr=1', () => {
    const target = lookupTarget(ORG, false)({ uuid: UUID }, 'CPtc-_.YAAA');
    expect(target).toBe(`/event?d_rtbd=json&d_jsonv=1&d_uuid=${UUID}&gdpr=1&gdpr_consent=CPtc-_.YAAA`);
  });

  it('sends customer ids beside the visitor’s own, with their authentication state', () => {
    const customerIds: CustomerId[] = [
      { dataSourceId: 1234, id: 'a b', authState: 'authenticated' },
      { integrationCode: 'crm&x', id: '67312', authState: 'logged-out' },
      { integrationCode: 'crm&x', id: '7' },
    ];
    expect(lookupTarget(ORG, false)({ uuid: UUID, customerIds })).toBe(
      `/event?d_rtbd=json&d_jsonv=1&d_uuid=${UUID}&d_cid=1234%01a%20b%011` +
        '&d_cid_ic=crm%26x%0167312%012&d_cid_ic=crm%26x%017',
    );
  });

  it('identifies a visitor by customer ids alone', () => {
    const target = lookupTarget(ORG, 'sid')({ customerIds: [{ dataSourceId: 7, id: 'x' }] });
    expect(target).toBe('/event?d_rtbd=json&d_jsonv=1&d_cid=7%01x&d_cts=2');
  });

  it('encodes every valid customer id without loss', () => {
    const states = ['unknown', 'authenticated', 'logged-out'] as const;
    const term = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
    const customerId = fc.oneof(
      fc.record({ id: term, integrationCode: term, authState: fc.constantFrom(...states) }),
      fc.record({ id: term, dataSourceId: fc.integer({ min: 1, max: 1e9 }), authState: fc.constantFrom(...states) }),
    );
    fc.assert(
      fc.property(fc.array(customerId, { maxLength: 15 }), (given) => {
        const { ids } = usableCustomerIds(given);
        const { searchParams } = new URL(lookupTarget(ORG, 'sid')({ customerIds: ids }), 'https://acme.demdex.net');
        const sent = (name: string) => searchParams.getAll(name).map((text) => text.split('\x01'));
        const written = (id: CustomerId) => {
          const state = states.indexOf(id.authState ?? 'unknown');
          return [String(id.integrationCode ?? id.dataSourceId), id.id, ...(state === 0 ? [] : [String(state)])];
        };
        expect(sent('d_cid')).toEqual(ids.filter(({ dataSourceId }) => dataSourceId !== undefined).map(written));
        expect(sent('d_cid_ic')).toEqual(
          ids.filter(({ integrationCode }) => integrationCode !== undefined).map(written),
        );
      }),
    );
  });
});
