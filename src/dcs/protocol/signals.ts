/**
 * Owns: what a site may tell the DCS of a visitor, and how it is written. The keys of the protocol itself are refused: a
 * signal must not be able to name another visitor, or to consent. Next: request.ts.
 */
import { AamError } from '../../errors';

/** One value, as the DCS gets it: numbers and booleans as JavaScript writes them. */
export type SignalValue = string | number | boolean;

/**
 * What happened, as key-value pairs that trait rules can go by: `{ c_product: 'irons', c_price: 899 }`. Customer signals
 * start with `c_`, signals that are evaluated and not stored with `p_`, header-level ones with `h_`; a key may also be bare
 * (Audience Manager docs, "Key Variables"). A list sends its key once for each value; `undefined` is left out.
 */
export type Signals = Readonly<Record<string, SignalValue | readonly SignalValue[] | undefined>>;

/** Of the protocol, without the prefix `d_` of all the others. */
const RESERVED: readonly string[] = ['gdpr', 'gdpr_consent', 'dcs_region', 'ts', '_ts'];

/**
 * Signals as parameters, each with an `&` before it; empty for none.
 * @throws {AamError} `ERR_AAM_INVALID_SIGNAL`; the message names the key and never a value
 */
export function encodedSignals(given: unknown): string {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid('signals must be an object of keys and values');
  }
  let encoded = '';
  for (const [key, values] of Object.entries(given)) {
    const name = encodedKey(key);
    for (const value of Array.isArray(values) ? values : [values]) {
      if (value === undefined && !Array.isArray(values)) continue;
      encoded += `&${name}=${encodedValue(key, value)}`;
    }
  }
  return encoded;
}

function encodedKey(key: string): string {
  if (key === '' || /[\p{Cc}\p{Cs}]/u.test(key)) {
    throw invalid('the key of a signal must be text, not empty and without control characters');
  }
  if (/^d_/i.test(key) || RESERVED.includes(key.toLowerCase())) {
    throw invalid(`the key ${JSON.stringify(key.slice(0, 100))} is reserved for the protocol; start it with 'c_'`);
  }
  return encodeURIComponent(key);
}

function encodedValue(key: string, value: unknown): string {
  const isValue = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  if (isValue) {
    try {
      return encodeURIComponent(value as SignalValue);
    } catch {
      // Half of a surrogate pair: there are no bytes for it.
    }
  }
  const rule = 'must be well-formed text, a finite number, a boolean, or a list of those';
  throw invalid(`the value of ${JSON.stringify(key.slice(0, 100))} ${rule}`);
}

function invalid(message: string): AamError {
  return new AamError('ERR_AAM_INVALID_SIGNAL', message);
}
