import type { VisitorSegments } from 'express-aam-segments';
import { segmentsStub } from 'express-aam-segments/testing';
import { VisitorSegments as RealVisitorSegments } from '../../src/segments/visitor-segments';

const NO_REASON = undefined;

describe('segmentsStub()', () => {
  it('is in the segments that it was given, and in no other', () => {
    const segments: VisitorSegments = segmentsStub({ names: ['golfFans', 'highValue'], ids: [984263, '985264'] });
    expect(segments).toBeInstanceOf(RealVisitorSegments);
    expect(segments.names).toEqual(['golfFans', 'highValue']);
    expect([segments.has('golfFans'), segments.has(984263), segments.has('000985264')]).toEqual([true, true, true]);
    expect([segments.has('runners'), segments.has(7), segments.hasAny('runners', 8)]).toEqual([false, false, false]);
    expect([segments.size, [...segments].slice(2)]).toEqual([4, ['984263', '985264']]);
    expect(segments.hasAll('golfFans', 'highValue', 984263)).toBe(true);
  });

  it('has destinations and their values', () => {
    const segments = segmentsStub({ values: ['sporty'], destinations: { aam: 'k=sporty', constructor: 'x' } });
    expect([segments.has({ value: 'sporty' }), segments.has({ value: 'x' })]).toEqual([true, false]);
    expect({ ...segments.destinations }).toEqual({ aam: 'k=sporty', constructor: 'x' });
  });

  it.each([
    [{}, 'cached', NO_REASON, 1_000, true],
    [{ status: 'cached', ageMs: 5 }, 'cached', NO_REASON, 5, true],
    [{ status: 'fresh' }, 'fresh', NO_REASON, 0, true],
    [{ status: 'stale' }, 'stale', 'revalidating', 120_000, true],
    [{ status: 'stale', reason: 'timeout' }, 'stale', 'timeout', 120_000, true],
    [{ status: 'preview', names: ['golfFans'] }, 'preview', NO_REASON, undefined, true],
    [{ status: 'unknown' }, 'unknown', 'pending', undefined, false],
    [{ status: 'unknown', reason: 'circuit-open' }, 'unknown', 'circuit-open', undefined, false],
    [{ status: 'anonymous' }, 'anonymous', 'no-id', undefined, false],
    [{ status: 'excluded', reason: 'bot' }, 'excluded', 'bot', undefined, false],
  ] as const)(
    'given %j has a status with the reason and age that go with it',
    (options, status, reason, ageMs, known) => {
      const segments = segmentsStub(options);
      expect([segments.status, segments.reason, segments.ageMs, segments.isKnown]).toEqual([
        status,
        reason,
        ageMs,
        known,
      ]);
    },
  );

  it('has the details of an answer, and the visitor', () => {
    const segments = segmentsStub({ region: 9, transactionId: 'abc=', visitor: { ecid: '1'.repeat(38) } });
    expect([segments.region, segments.transactionId, segments.visitor]).toEqual([9, 'abc=', { ecid: '1'.repeat(38) }]);
    expect(JSON.stringify(segments)).not.toContain('1'.repeat(38));
    expect([segmentsStub().region, segmentsStub().transactionId]).toEqual([undefined, undefined]);
  });

  it.each([
    [{ status: 'gone' }, /"gone" is not a status/],
    [{ status: 'unknown', names: ['golfFans'] }, /a visitor whose status is 'unknown' has no segments/],
    [{ status: 'excluded', destinations: { a: 'b' } }, /'excluded' has no segments/],
    [{ transactionId: 'x'.repeat(65) }, /transactionId must be up to 64 characters/],
    [{ ids: ['golf'] }, /an id must be a number or a string of digits/],
  ])('refuses %j', (options, message) => {
    expect(() => segmentsStub(options as never)).toThrow(message);
  });
});
