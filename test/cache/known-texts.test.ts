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

it('finds a text within another one as it finds the text alone', () => {
  const known = new KnownTexts<string>();
  const part = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 20 });
  fc.assert(
    fc.property(part, part, part, (before, text, behind) => {
      const found = known.get(before + text + behind, before.length, before.length + text.length);
      expect(found).toBe(known.get(text));
      if (found === undefined) known.add(text, text);
      else expect(found).toBe(text);
    }),
    { numRuns: 5_000 },
  );
});

it('does not store a text that is not Latin-1, and would be another one in the memory of the store', () => {
  const known = new KnownTexts<string>();
  // Both have the same low bytes, and agree in the characters that are looked at.
  const [text, likeIt] = ['\u0141', 'A'].map((character) => `${'x'.repeat(50)}${character}${'x'.repeat(49)}`) as [
    string,
    string,
  ];
  known.add(text, text);
  expect([known.get(text), known.get(likeIt)]).toEqual([undefined, undefined]);
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
