import fc from 'fast-check';

/** Strings that have ended scripts, comments, lines and encodings before. */
const DANGEROUS = [
  '</script>',
  '</SCRIPT\n>',
  '</script ',
  '<script>',
  '<!--',
  '-->',
  '--!>',
  '<!--<script>',
  ']]>',
  '<![CDATA[',
  '&lt;/script&gt;',
  '&amp;',
  "$'",
  '$`',
  '$&',
  '\u2028',
  '\u2029',
  '\u0000',
  '\ufeff',
  '\r\n',
  '"',
  '\\',
  '\\u003c',
  '\ud800',
  '\udfff',
  '\uffff',
  '<%- x %>',
  '{{x}}',
  '#{x}',
  '__proto__',
];

/** Text with some of these in it. */
export const anyString: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.constantFrom(...DANGEROUS), fc.string(), fc.string({ unit: 'binary' })), { maxLength: 6 })
  .map((parts) => parts.join(''));

/** Data in the shape of a bootstrap. */
export const anyData = fc.record({
  isKnown: fc.boolean(),
  segments: fc.dictionary(anyString, fc.boolean(), { maxKeys: 4 }),
  variants: fc.dictionary(anyString, fc.record({ variant: anyString, reason: anyString }), { maxKeys: 3 }),
});
