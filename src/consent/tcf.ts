/**
 * Owns: what a TC string of the IAB's Transparency and Consent Framework v2 says about Audience Manager. Never throws.
 * Next: consent-gate.ts.
 *
 * The string is the visitor's to write. `@iabtcf/core` knows its layout and its encodings; its `TCString.decode()` also
 * makes objects of everything in it, vendor by vendor and restriction by restriction, and a string of 4 KB can keep it
 * busy for a minute. Of ranges only the two ends are looked at here.
 */
import { Base64Url, BitLength, FieldSequence, IntEncoder, RestrictionType } from '@iabtcf/core';

/** Adobe Audience Manager in the Global Vendor List; what it needs is in the Audience Manager docs on its IAB TCF plug-in. */
const VENDOR_ID = 565;
/** Store and/or access information on a device; develop and improve services. */
const PURPOSE_IDS = [1, 10];
/** No cookie is longer. */
const MAX_LENGTH = 4_000;

/** Whether a TC string lets Audience Manager be asked. One that cannot be read does not. */
export function tcStringAgrees(tcString: string): boolean {
  if (tcString.length > MAX_LENGTH || !/^[\w.-]+$/.test(tcString)) return false;
  try {
    // The segments after the first are about other things.
    return coreAgrees(new Bits(Base64Url.decode(tcString.split('.', 1)[0] as string)));
  } catch {
    return false;
  }
}

function coreAgrees(bits: Bits): boolean {
  bits.at = 0;
  if (bits.int(BitLength.version) !== 2) return false;
  bits.at = PURPOSE_CONSENTS_AT;
  const purposes = bits.take(BitLength.purposeConsents);
  if (!PURPOSE_IDS.every((id) => purposes[id - 1] === '1')) return false;
  bits.at = VENDOR_CONSENTS_AT;
  if (!hasVendor(bits)) return false;
  hasVendor(bits); // those with a legitimate interest, which is not asked for: the restrictions stand behind them
  return !isRestricted(bits);
}

/** Reads a list of vendors, which is a bit for each one or a list of ranges, to its end. */
function hasVendor(bits: Bits): boolean {
  const maxId = bits.int(BitLength.maxId);
  const isRange = bits.int(BitLength.encodingType) === 1;
  return isRange ? hasVendorInRanges(bits) : bits.take(maxId)[VENDOR_ID - 1] === '1';
}

function hasVendorInRanges(bits: Bits): boolean {
  let found = false;
  for (let left = bits.int(BitLength.numEntries); left > 0; left--) {
    const isSpan = bits.int(BitLength.singleOrRange) === 1;
    const first = bits.int(BitLength.vendorId);
    const last = isSpan ? bits.int(BitLength.vendorId) : first;
    if (first <= VENDOR_ID && VENDOR_ID <= last) found = true;
  }
  return found;
}

/** The publisher may forbid a purpose, or allow it on other grounds than consent: either way there is no consent to go by. */
function isRestricted(bits: Bits): boolean {
  let found = false;
  for (let left = bits.int(BitLength.numRestrictions); left > 0; left--) {
    const purposeId = bits.int(BitLength.purposeId);
    const type = bits.int(BitLength.restrictionType);
    const isOurs = hasVendorInRanges(bits);
    if (isOurs && PURPOSE_IDS.includes(purposeId) && type !== RestrictionType.REQUIRE_CONSENT) found = true;
  }
  return found;
}

/** A string of zeros and ones, read from a place on. */
class Bits {
  at = 0;
  readonly #bits: string;

  constructor(bits: string) {
    this.#bits = bits;
  }

  take(count: number): string {
    const start = this.at;
    this.at += count;
    return this.#bits.slice(start, this.at);
  }

  /** @throws at the end of the bits */
  int(count: number): number {
    return IntEncoder.decode(this.take(count), count);
  }
}

const CORE = new FieldSequence()['2'].core as readonly string[];
const PURPOSE_CONSENTS_AT = offsetOf('purposeConsents');
const VENDOR_CONSENTS_AT = offsetOf('vendorConsents');

/** Up to there every field of the core has a fixed length. */
function offsetOf(field: string): number {
  const lengths = BitLength as unknown as Readonly<Record<string, number>>;
  return CORE.slice(0, CORE.indexOf(field)).reduce((sum, each) => sum + (lengths[each] as number), 0);
}
