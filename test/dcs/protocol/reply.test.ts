import type { DcsError } from '../../../src/dcs/protocol/dcs-error';
import type { DcsReply } from '../../../src/dcs/protocol/reply';
import { replyRows } from '../dcs-vectors';
import { outcomeOf } from '../outcome';

const REFUSED = { reason: 'refused', code: 'ERR_AAM_DCS_REJECTED', noData: false };
const OPTED_OUT = { reason: 'opted-out', code: 'ERR_AAM_DCS_REJECTED', noData: false, optOutTtlMs: 7_200_000 };
const INVALID_ID = { reason: 'invalid-id', code: 'ERR_AAM_DCS_REJECTED', noData: false };
const DENYLISTED = { reason: 'denylisted', code: 'ERR_AAM_DCS_REJECTED', noData: false };
const REJECTED = { reason: 'dcs-error', code: 'ERR_AAM_DCS_REJECTED', noData: false };
const NO_DATA = { reason: 'dcs-error', code: 'ERR_AAM_DCS_REJECTED', noData: true };

/** Expected outcome by row. Fields of a reply that are not listed are empty or absent. */
const OUTCOMES: Readonly<Record<string, object>> = {
  'dcs/doc-minimal': { uuid: '22920112968019678612904394744954398990', region: 7, transactionId: '31ZpxW5bQGc=' },
  'dcs/doc-d-cts': {
    segments: ['984263', '985264'],
    uuid: '07955261652886032950143702505894272138',
    region: 7,
    transactionId: 'ss3OTqPiQp0=',
  },
  'dcs/field-report': {
    destinations: [['aam_freewheel', 'isp=chcom']],
    uuid: '31876464276460965863607876393923950371',
    region: 7,
  },
  'dcs/cookie-single-standard-amp': { destinations: [['aam', 'seg=984263&seg=985264']] },
  'dcs/cookie-single-serialized': { destinations: [['aamgpt', 'aam=984263,985264,985265']] },
  'dcs/cookie-multi-standard': { destinations: [['aam', 'gender=male&gender=x&color=blue&color=red']] },
  'dcs/cookie-encoded': { destinations: [['aam', 'seg%3D984263%2C985264']] },
  'dcs/cookie-numeric-cv': { destinations: [['aam', '984263']] },
  'dcs/stuff-mixed-junk': { destinations: [['ok', 'k=v']] },
  'dcs/id-sync': NO_DATA,
  'dcs/region-differs': { uuid: '1', region: 6 },
  'dcs/region-string': NO_DATA,
  'dcs/error-0': { ...NO_DATA, dcsCode: 0 },
  'dcs/error-1': { ...REJECTED, dcsCode: 1 },
  'dcs/error-2': { ...REJECTED, dcsCode: 2 },
  'dcs/error-10': { ...NO_DATA, dcsCode: 10 },
  'dcs/error-100': { ...REJECTED, dcsCode: 100 },
  'dcs/error-101': { ...INVALID_ID, dcsCode: 101 },
  'dcs/error-102': { ...INVALID_ID, dcsCode: 102 },
  'dcs/error-104': { ...NO_DATA, dcsCode: 104 },
  'dcs/error-109': { ...REJECTED, dcsCode: 109 },
  'dcs/error-111': { ...REJECTED, dcsCode: 111 },
  'dcs/error-171': { ...OPTED_OUT, dcsCode: 171 },
  'dcs/error-172': { ...REFUSED, dcsCode: 172 },
  'dcs/error-173': { ...OPTED_OUT, dcsCode: 173 },
  'dcs/error-198': { ...REFUSED, dcsCode: 198 },
  'dcs/error-199': { ...REFUSED, dcsCode: 199 },
  'dcs/error-200': { ...NO_DATA, dcsCode: 200 },
  'dcs/error-204': { ...NO_DATA, dcsCode: 204 },
  'dcs/error-300': { ...NO_DATA, dcsCode: 300 },
  'dcs/error-303': { ...NO_DATA, dcsCode: 303 },
  'dcs/error-306': { ...DENYLISTED, dcsCode: 306 },
  'dcs/error-307': { ...DENYLISTED, dcsCode: 307 },
  'dcs/error-311': { ...NO_DATA, dcsCode: 311 },
  'dcs/error-315': { ...OPTED_OUT, dcsCode: 315 },
  'dcs/error-two-and-segments': { segments: ['984263'], uuid: '1', region: 7, errors: [300, 309] },
  'dcs/xerror-only': { ...INVALID_ID, dcsCode: 101 },
  'dcs/empty-object': { ...NO_DATA, dcsCode: undefined },
  'dcs/empty-body': { ...NO_DATA, dcsCode: undefined },
  'dcs/jsonp': { reason: 'bad-reply', code: 'ERR_AAM_DCS_REPLY', noData: false },
};

const EMPTY: DcsReply = {
  segments: [],
  hasSegmentIds: false,
  destinations: [],
  uuid: undefined,
  region: undefined,
  transactionId: undefined,
  errors: [],
};

describe('replyFromBody', () => {
  it.each(replyRows)('parses $id', ({ id, input, expected }) => {
    const outcome = outcomeOf(input.bodyText ?? input.body, input.headers?.['X-Error']);
    const listed = OUTCOMES[id];
    if (listed === undefined) throw new Error(`no expected outcome for ${id}`);
    if ('reason' in listed) {
      expect(outcome).toMatchObject(listed);
      return;
    }
    const hasSegmentIds = Array.isArray((input.body as { segments?: unknown } | undefined)?.segments);
    expect(outcome).toEqual({ ...EMPTY, hasSegmentIds, ...listed });
    const { segments, region, uuid, transactionId, destinations, errors } = outcome as DcsReply;
    const parsed: Record<string, unknown> = {
      segments: segments.map(Number),
      region,
      uuid,
      tid: transactionId,
      cookies: Object.fromEntries(destinations),
      errors,
    };
    for (const field of Object.keys(parsed)) {
      if (field in expected) expect(parsed[field]).toEqual(expected[field]);
    }
  });

  it('has an expected outcome for exactly the rows of the vectors', () => {
    expect(Object.keys(OUTCOMES).sort()).toEqual(replyRows.map(({ id }) => id).sort());
  });

  it.each(['dcs/id-sync', 'dcs/region-string'])('reads the region of %s when there is data too', (id) => {
    const { input, expected } = replyRows.find((row) => row.id === id) as (typeof replyRows)[number];
    expect(outcomeOf({ ...input.body, uuid: '1', stuff: [] })).toMatchObject({ region: expected.region });
  });

  it('accepts an empty list with a uuid as an answer: the visitor is in no segment', () => {
    for (const lists of [{ segments: [] }, { stuff: [] }, { segments: [], stuff: [] }]) {
      expect(outcomeOf({ uuid: '1', ...lists })).toEqual({ ...EMPTY, hasSegmentIds: 'segments' in lists, uuid: '1' });
      expect(outcomeOf({ u: '2', ...lists })).toEqual({ ...EMPTY, hasSegmentIds: 'segments' in lists, uuid: '2' });
      expect(outcomeOf(lists)).toMatchObject(NO_DATA);
    }
  });

  it('accepts data without a uuid as an answer', () => {
    expect(outcomeOf({ segments: [7] })).toEqual({ ...EMPTY, hasSegmentIds: true, segments: ['7'] });
    expect(outcomeOf({ stuff: [{ cn: 'aam', cv: 'x' }] })).toEqual({ ...EMPTY, destinations: [['aam', 'x']] });
  });

  it.each(['', ' ', '\r\n', '{}', '{"uuid":"1"}', '{"uuid":"1","segments":null,"stuff":{}}'])(
    'treats %j as an answer without data',
    (body) => {
      expect(outcomeOf(body)).toMatchObject({ ...NO_DATA, dcsCode: undefined });
    },
  );

  it.each([
    'null',
    '[]',
    '[{"segments":[1]}]',
    '1',
    '"text"',
    'true',
    '<html>',
    'GIF89a\u0001',
    '{"segments":[1]',
    '{}x',
  ])('rejects %j as a bad reply', (body) => {
    expect(outcomeOf(body)).toMatchObject({ reason: 'bad-reply', noData: false });
  });

  it('keeps the body out of the message and the cause of an error', () => {
    for (const body of [
      '<p>secret-38',
      '["secret-38"]',
      '{"errors":[{"code":1,"msg":"secret-38"}],"uuid":"secret-38"}',
    ]) {
      const error = outcomeOf(body) as DcsError;
      expect(error.message).toMatch(/^The DCS /);
      expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('secret-38');
    }
  });
});
