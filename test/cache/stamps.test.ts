import fc from 'fast-check';
import {
  firstSeenMsOf,
  isFinal,
  isOfVariant,
  stamped,
  storedAtMsOf,
  ttlMsOf,
  validAtOf,
  withValidAt,
} from '../../src/cache/stamps';

const ascii = (maxLength: number) => fc.array(fc.nat(127), { maxLength }).map((codes) => String.fromCharCode(...codes));
const stamps = fc.record({
  variant: ascii(300),
  isFinal: fc.boolean(),
  ttlMs: fc.nat(2_147_483_647),
  validAt: fc.nat(2 ** 35 - 1),
  // Also before the clock began, as by another process.
  storedAtMs: fc.integer({ min: -(2 ** 33), max: 2 ** 42 - 2 ** 33 - 1 }),
  sinceFirstSeenMs: fc.nat(16_383),
});

describe('the stamps behind a text', () => {
  it('are those that were written, whatever the text and the variant are', () => {
    fc.assert(
      fc.property(ascii(50), stamps, ascii(300), (text, { sinceFirstSeenMs, ...given }, other) => {
        const firstSeenMs = given.storedAtMs - sinceFirstSeenMs;
        const entry = stamped(text, { ...given, firstSeenMs });
        expect(entry.startsWith(text)).toBe(true);
        expect([isFinal(entry), ttlMsOf(entry), validAtOf(entry)]).toEqual([given.isFinal, given.ttlMs, given.validAt]);
        expect([storedAtMsOf(entry), firstSeenMsOf(entry)]).toEqual([given.storedAtMs, firstSeenMs]);
        expect(isOfVariant(entry, given.variant)).toBe(true);
        expect(isOfVariant(entry, other)).toBe(other === given.variant);
        expect(isOfVariant(entry, `${given.variant}x`)).toBe(false);
        if (given.variant !== '') expect(isOfVariant(entry, given.variant.slice(1))).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are the same but for the generation, of a text that is still up to date', () => {
    fc.assert(
      fc.property(ascii(50), stamps, fc.nat(2 ** 35 - 1), (text, { sinceFirstSeenMs, ...given }, validAt) => {
        const firstSeenMs = given.storedAtMs - sinceFirstSeenMs;
        const entry = stamped(text, { ...given, firstSeenMs });
        expect(withValidAt(entry, validAt)).toBe(stamped(text, { ...given, firstSeenMs, validAt }));
      }),
    );
  });

  it('make a visitor look first seen sixteen seconds ago at most, which is long', () => {
    const at = { variant: '', isFinal: false, ttlMs: 1, validAt: 1, storedAtMs: 1_000_000, firstSeenMs: 0 };
    expect(firstSeenMsOf(stamped('', at))).toBe(1_000_000 - 16_383);
  });
});
