/**
 * Owns: the validation and encoding of signals. Keys of the protocol are rejected: a signal must not be able to name another
 * visitor or to give consent. Next: request.ts.
 */
import { AamError } from '../../errors';
import { entriesOf, itemsOf } from '../../handed-over/reading';
import { quoted } from '../../handed-over/showing';

/** The value of a signal. Numbers and booleans are sent as `String(value)`. */
export type SignalValue = string | number | boolean;

/**
 * Key-value pairs that trait rules evaluate. Customer signals start with `c_`, signals that are evaluated but not stored
 * with `p_`, header-level signals with `h_`; a key without a prefix is allowed too (Audience Manager docs, "Key
 * Variables"). A list sends its key once per value; `undefined` is not sent.
 *
 * @example
 * { c_product: 'irons', c_price: 899, c_tags: ['golf', 'sale'] }
 */
export type Signals = Readonly<Record<string, SignalValue | readonly SignalValue[] | undefined>>;

/** Keys of the protocol that do not start with `d_`. */
const RESERVED_KEYS: readonly string[] = ['gdpr', 'gdpr_consent', 'dcs_region', 'ts', '_ts'];

/**
 * Encodes signals as query parameters, each preceded by `&`; empty for none.
 * @throws {AamError} `ERR_AAM_INVALID_SIGNAL`; the message names the key, never a value
 */
export function encodedSignals(given: unknown): string {
  const entries = entriesOf(given);
  if (entries === undefined) throw invalid('Signals must be an object of keys and values.');
  let encoded = '';
  for (const [key, value] of entries) {
    const name = encodedKey(key);
    if (value === undefined) continue;
    for (const each of itemsOf(value) ?? [value]) encoded += `&${name}=${encodedValue(key, each)}`;
  }
  return encoded;
}

function encodedKey(key: string): string {
  if (key === '' || /[\p{Cc}\p{Cs}]/u.test(key)) {
    throw invalid('A signal key must be non-empty, well-formed text without control characters.');
  }
  if (/^d_/i.test(key) || RESERVED_KEYS.includes(key.toLowerCase())) {
    throw invalid(`The signal key ${quoted(key)} is reserved; use a key that starts with 'c_'.`);
  }
  return encodeURIComponent(key);
}

function encodedValue(key: string, value: unknown): string {
  const isValue = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  if (isValue) {
    try {
      return encodeURIComponent(value as SignalValue);
    } catch {
      // A lone surrogate cannot be encoded.
    }
  }
  const rule = 'must be well-formed text, a finite number, a boolean, or a list of those.';
  throw invalid(`The value of signal ${quoted(key)} ${rule}`);
}

function invalid(message: string): AamError {
  return new AamError('ERR_AAM_INVALID_SIGNAL', message);
}
