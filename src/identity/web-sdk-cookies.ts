/**
 * Owns: the `kndctr_` cookies of Adobe's Web SDK that identify the visitor: the ECID in `identity`, and in `cluster` the Edge
 * location, which is the same data centre as a DCS region (Adobe knowledge base, ka-21677). Never throws. Next:
 * identity-reader.ts.
 */
import { type CookieValue, decodedValue } from '../request/cookie-header';

/** The name of a Web SDK cookie, in which `_` replaces the `@` of the organisation id. */
export function webSdkCookieName(orgId: string, key: 'identity' | 'cluster' | 'consent'): string {
  return `kndctr_${orgId.replace('@', '_')}_${key}`;
}

/**
 * The ECID in an `identity` cookie: field 1 of a protobuf message in base64, of either alphabet, with or without padding.
 * `undefined` for anything else. That it is 38 digits is not checked.
 */
export function ecidInIdentityCookie(value: CookieValue): string | undefined {
  const base64 = decodedValue(value);
  if (base64 === undefined || !/^[\w+/-]+={0,2}$/.test(base64)) return undefined;
  return textOfField(1, Buffer.from(base64, 'base64'));
}

/** DCS regions by Edge location. São Paulo (4) has none. Adobe's documentation also has the spelling `spg3`. */
const REGION_OF_CLUSTER: ReadonlyMap<string, number> = new Map([
  ['sgp3', 3],
  ['spg3', 3],
  ['irl1', 6],
  ['va6', 7],
  ['aus3', 8],
  ['or2', 9],
  ['jpn3', 11],
  ['ind1', 12],
]);

/** The DCS region of a `cluster` cookie. It lives for half an hour, so it is current wherever it is present. */
export function regionOfCluster(value: CookieValue): number | undefined {
  return REGION_OF_CLUSTER.get(value.text.slice(value.start, value.end));
}

const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH_DELIMITED = 2;
const FOUR_BYTES = 5;

/** The last occurrence of a text field, as protobuf specifies; `undefined` without one, or for a malformed message. */
function textOfField(wanted: number, message: Uint8Array): string | undefined {
  let found: string | undefined;
  let at = 0;
  while (at < message.length) {
    const tag = varintAt(message, at);
    if (tag === undefined) return undefined;
    at = tag.end;
    const type = tag.value & 7;
    const field = Math.floor(tag.value / 8);
    if (field === 0) return undefined;
    if (type === EIGHT_BYTES || type === FOUR_BYTES) {
      at += type === EIGHT_BYTES ? 8 : 4;
    } else if (type === VARINT || type === LENGTH_DELIMITED) {
      const number = varintAt(message, at);
      if (number === undefined) return undefined;
      at = number.end;
      if (type === LENGTH_DELIMITED) {
        const end = at + number.value;
        if (field === wanted && end <= message.length)
          found = Buffer.from(message.subarray(at, end)).toString('latin1');
        at = end;
      }
    } else {
      return undefined; // deprecated groups, or not protobuf
    }
  }
  return at === message.length ? found : undefined;
}

/** At most ten bytes of seven bits. Values beyond 2^53 are inexact, which only affects varints that are skipped. */
function varintAt(message: Uint8Array, start: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let factor = 1;
  for (let at = start; at < Math.min(start + 10, message.length); at++) {
    const byte = message[at] as number;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return { value, end: at + 1 };
    factor *= 128;
  }
  return undefined;
}
