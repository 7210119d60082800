import { REGIONAL_ORIGINS, Regions } from '../../src/dcs/regions';
import { lookupTarget } from '../../src/dcs/request';
import { requestRows } from './dcs-vectors';

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const ECID = '20265673158980419722735089753036633573';
const UUID = '07955261652886032950143702505894272138';

describe('lookupTarget', () => {
  it.each(requestRows)('builds the request of $id', ({ input, expected }) => {
    const origins = Object.entries(REGIONAL_ORIGINS).map(([id, origin]) => [Number(id), new URL(origin)] as const);
    const regions = new Regions(new Map(origins), new URL(`https://${input.partnerHost}`));

    expect(lookupTarget(input.orgId, false)({ ecid: input.mid, region: input.region })).toBe(expected.path);
    expect(regions.originOf(input.region).host).toBe(expected.connectHost);
  });

  it('has a row of the vectors to go by', () => expect(requestRows).not.toHaveLength(0));

  it.each([
    ['sid', '&d_cts=2'],
    ['legacy', '&d_cts=1'],
    [false, ''],
  ] as const)('asks for segment ids %p by "%s"', (segmentIds, parameter) => {
    expect(lookupTarget(ORG, segmentIds)({ ecid: ECID })).toBe(
      `/event?d_rtbd=json&d_jsonv=1&d_mid=${ECID}&d_orgid=1FD6776A524453CC0A490D44%40AdobeOrg${parameter}`,
    );
  });

  it('names a visitor without an ECID by the UUID, which needs no organisation', () => {
    expect(lookupTarget(ORG, 'sid')({ uuid: UUID })).toBe(`/event?d_rtbd=json&d_jsonv=1&d_uuid=${UUID}&d_cts=2`);
  });

  it('names a visitor who has both by the ECID alone', () => {
    const target = lookupTarget(ORG, 'sid')({ ecid: ECID, uuid: UUID });
    expect(new URL(target, 'https://acme.demdex.net').searchParams.get('d_mid')).toBe(ECID);
    expect(target).not.toContain('d_uuid');
  });

  it('says nothing of the region: it is in the host that is asked', () => {
    const target = lookupTarget(ORG, 'sid');
    expect(target({ ecid: ECID, region: 9, regionExpiresAtMs: 1 })).toBe(target({ ecid: ECID }));
  });

  it('carries the organisation through encoding unchanged, whatever it consists of', () => {
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
});
