import fc from 'fast-check';
import { KnownTexts } from '../../src/cache/known-texts';

const VERSIONS = Array.from(
  { length: 8 },
  (_, n) => `Mozilla/5.0 (X11; Linux x86_64) Chrome/14${n}.0.0.0 Safari/537.36`,
);

it('knows each text by all of its characters', () => {
  const known = new KnownTexts<string>();
  // Texts of one length that differ in few characters are what the store might mix up.
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 0, maxLength: 40 });
  fc.assert(
    fc.property(text, (each) => {
      const found = known.get(each);
      if (found === undefined) known.add(each, each);
      expect(found === undefined || found === each).toBe(true);
      expect(known.get(each)).toBe(each);
    }),
    { numRuns: 5_000 },
  );
});

it('keeps several texts that agree in most characters', () => {
  const known = new KnownTexts<string>();
  for (const text of VERSIONS) known.add(text, text);
  expect(VERSIONS.map((text) => known.get(text))).toEqual(VERSIONS);
});

it('forgets the oldest of too many texts that agree where it looks', () => {
  const known = new KnownTexts<number>();
  // The character that differs is none of those that are looked at.
  const texts = Array.from({ length: 9 }, (_, n) => `${'x'.repeat(50)}${n}${'x'.repeat(49)}`);
  for (const [n, text] of texts.entries()) known.add(text, n);
  const kept = texts.filter((text) => known.get(text) !== undefined);
  expect(kept).toEqual(texts.slice(1));
});

it('is bounded', () => {
  const known = new KnownTexts<boolean>();
  const texts = Array.from({ length: 10_000 }, (_, n) => `text ${n}`);
  for (const text of texts) known.add(text, true);
  const kept = texts.filter((text) => known.get(text));
  expect(kept.length).toBeGreaterThan(1_000);
  expect(kept.length).toBeLessThanOrEqual(2_048);
});
