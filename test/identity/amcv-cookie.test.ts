import fc from 'fast-check';
import { type AmcvFields, parseAmcv } from '../../src/identity/amcv-cookie';

const ECID = '20265673158980419722735089753036633573';

function parsed(text: string): AmcvFields {
  return parseAmcv({ text, start: 0, end: text.length });
}

/** A plain implementation of the grammar: decode once, split, walk the pairs. */
function reference(text: string): AmcvFields {
  let value: string;
  try {
    value = decodeURIComponent(text);
  } catch {
    return { id: undefined, region: undefined, regionExpiresAtSec: undefined, optOut: 'undecodable' };
  }
  const elements = value.split('|');
  if (/^[-\d]+$/.test(elements[0] as string)) elements.shift();
  const fields = new Map<string, { value: string; expiry: number | undefined }>();
  for (let at = 0; at + 1 < elements.length; at += 2) {
    const [key, expiry] = (elements[at] as string).split(/-(.*)/s) as [string, string | undefined];
    const seconds = /^\d+/.exec(expiry ?? '')?.[0];
    const element = elements[at + 1] as string;
    const isAfterOptOut = key === 'MCOPTOUT' && (fields.get(key)?.value ?? 'NONE') !== 'NONE';
    if (element !== '' && !isAfterOptOut)
      fields.set(key, { value: element, expiry: seconds === undefined ? undefined : Number(seconds) });
  }
  const docsStyle = !fields.has('MCMID') && fields.has('mid');
  return {
    id: (fields.get('MCMID') ?? fields.get('mid'))?.value,
    region: (fields.get('MCAAMLH') ?? (docsStyle ? fields.get('aamlh') : undefined))?.value,
    regionExpiresAtSec: fields.get('MCAAMLH')?.expiry,
    optOut: fields.get('MCOPTOUT')?.value,
  };
}

const key = fc.oneof(
  fc.constantFrom(
    'MCMID',
    'MCAAMLH',
    'MCOPTOUT',
    'MCAAMB',
    'MCIDTS',
    'vVersion',
    'mid',
    'aamlh',
    'MCMIDX',
    'MC',
    'M',
    '',
  ),
  fc.string({ maxLength: 6 }),
);
const suffix = fc.constantFrom('', '-1796038911', '-1795441311s', '-', '-x', '--5', '-12-34');
const value = fc.oneof(
  fc.constantFrom(ECID, 'NONE', 'global', '9', '', '411-20788*771-20795', 'RK+/=_-~.'),
  fc.string({ maxLength: 8 }),
);
const pair = fc.tuple(key, suffix, value).map(([name, expiry, text]) => `${name}${expiry}|${text}`);
const cookie = fc
  .tuple(
    fc.constantFrom('', '179643557|', '-1124106680|', '-|', 'T|', '|'),
    fc.array(pair, { maxLength: 8 }),
    fc.constantFrom('', '|', '|MCMID'),
  )
  .map(([digest, pairs, rest]) => `${digest}${pairs.join('|')}${rest}`);
const encodings = [
  encodeURIComponent,
  (text: string) => encodeURIComponent(text).replaceAll('%7C', '|'),
  (text: string) => encodeURIComponent(text).replaceAll('%7C', '%7c'),
  (text: string) => encodeURIComponent(text).replace('M', '%4D').replace('-', '%2D'),
  (text: string) => text,
];

describe('parseAmcv', () => {
  it('agrees with the reference on every value of the grammar', () => {
    fc.assert(
      fc.property(cookie, fc.constantFrom(...encodings), (text, encode) => {
        let written: string;
        try {
          written = encode(text);
        } catch {
          return; // a lone surrogate cannot be encoded
        }
        expect(parsed(written)).toEqual(reference(written));
      }),
      { numRuns: 5_000 },
    );
  });

  it('agrees with the reference on arbitrary text, also with percent sequences', () => {
    const text = fc.array(
      fc.constantFrom('%7C', '%7c', '|', '%', '%E0%A4', '%C3%A9', '%FF', '%2', 'MCMID', '-', '7', 'é', ' '),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(text, (parts) => expect(parsed(parts.join(''))).toEqual(reference(parts.join('')))),
      { numRuns: 5_000 },
    );
  });

  it('reads only its range of the text', () => {
    const text = `AMCV=MCMID%7C${ECID}; AMCV=%E0|MCOPTOUT|global`;
    expect(parseAmcv({ text, start: 5, end: text.indexOf(';') })).toEqual({
      id: ECID,
      region: undefined,
      regionExpiresAtSec: undefined,
      optOut: undefined,
    });
  });

  it('treats a percent sequence that is cut off by the end of the value as malformed', () => {
    const text = `MCMID|${ECID}%4D`;
    expect(parseAmcv({ text, start: 0, end: text.length - 1 }).id).toBeUndefined();
  });

  it('takes the lower-case keys only where MCMID is absent', () => {
    expect(parsed(`mid|${ECID}|aamlh|7`)).toMatchObject({ id: ECID, region: '7' });
    expect(parsed(`mid|1|aamlh|7|MCMID|${ECID}`)).toMatchObject({ id: ECID, region: undefined });
  });
});
