/**
 * Owns: whether a TC string of the IAB's Transparency and Consent Framework v2 consents to Audience Manager. Never throws.
 * Next: consent-gate.ts.
 *
 * A visitor can send any string. `@iabtcf/core` provides the layout and the encodings, but its `TCString.decode()` expands every
 * vendor and restriction into objects: a string of 4 KB can take it a minute. Ranges are not expanded here.
 */
import { Base64Url, BitLength, FieldSequence, IntEncoder, RestrictionType } from '@iabtcf/core';

/** Adobe Audience Manager in the Global Vendor List. Its requirements are in the Audience Manager docs on its IAB TCF plug-in. */
const VENDOR_ID = 565;
/** Store and/or access information on a device; develop and improve services. */
const PURPOSE_IDS = [1, 10];
/** Browsers limit cookies to about 4 KB. */
const MAX_LENGTH = 4_000;

/** Whether a TC string consents to Audience Manager. An unreadable one does not. */
export function tcStringAgrees(tcString: string): boolean {
  if (tcString.length > MAX_LENGTH || !/^[\w.-]+$/.test(tcString)) return false;
  try {
    // Only the core segment, the first, has consents.
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
  hasVendor(bits); // skips the vendors' legitimate interests, to reach the publisher restrictions
  return !isRestricted(bits);
}

/** Reads a list of vendors, a bit field or ranges, to its end. */
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

/** Whether the publisher forbids one of the purposes, or bases it on legitimate interest: either way, not on consent. */
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

/** A string of zeros and ones with a read position. */
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

  /** @throws past the end of the bits */
  int(count: number): number {
    return IntEncoder.decode(this.take(count), count);
  }
}

const CORE = new FieldSequence()['2'].core as readonly string[];
const PURPOSE_CONSENTS_AT = offsetOf('purposeConsents');
const VENDOR_CONSENTS_AT = offsetOf('vendorConsents');

/** The offset of a field in the core segment; all fields before it must have a fixed length. */
function offsetOf(field: string): number {
  const lengths = BitLength as unknown as Readonly<Record<string, number>>;
  return CORE.slice(0, CORE.indexOf(field)).reduce((sum, each) => sum + (lengths[each] as number), 0);
}
