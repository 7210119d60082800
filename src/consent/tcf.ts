/**
 * Owns: whether a TC string of the IAB's Transparency and Consent Framework v2 consents to Audience Manager. Never throws.
 * Next: us-privacy.ts.
 *
 * A visitor can send any string. `@iabtechlabtcf/core` provides the layout and the encodings, but its `TCString.decode()`
 * expands every vendor and restriction into objects: a string of 4 KB can take it a minute. Ranges are not expanded here.
 */
import { BitLength, FieldSequence, RestrictionType, SegmentIDs } from '@iabtechlabtcf/core';
import { BitReader } from './bit-reader';
import { agrees, MAX_CONSENT_LENGTH, refuses, type Statement, TOO_LONG } from './statement';

/**
 * `lenient` reads every string as TCF 2.2 does. `strict` reads those that were written after 28 February 2026 as TCF 2.3 does:
 * they must be service-specific and disclose their vendors, and a vendor that is not disclosed has no consent.
 */
export type TcfMode = 'strict' | 'lenient';

/** Adobe Audience Manager in the Global Vendor List. Its requirements are in the Audience Manager docs on its IAB TCF plug-in. */
const VENDOR_ID = 565;
/** Store and/or access information on a device; develop and improve services. */
const PURPOSE_IDS = [1, 10];
/** From this day on, TC strings must have the segment of disclosed vendors (IAB Europe, TCF 2.3). In tenths of a second. */
const TCF_2_3_FROM = Date.UTC(2026, 2, 1) / 100;

const CONSENTS = agrees('it consents to vendor 565 and to purposes 1 and 10');
const UNREADABLE = refuses('it is not a TC string of version 2');
const NO_PURPOSE = refuses('it does not consent to purposes 1 and 10');
const NO_VENDOR = refuses('it does not consent to vendor 565');
const RESTRICTED = refuses('the publisher restricts vendor 565 in purpose 1 or 10');
const GLOBAL = refuses('it is not service-specific');
const NO_DISCLOSURE = refuses('it has no segment of disclosed vendors');
const NOT_DISCLOSED = refuses('vendor 565 is not among the disclosed vendors');

export function tcfStatement(tcString: string, mode: TcfMode): Statement {
  if (tcString.length > MAX_CONSENT_LENGTH) return TOO_LONG;
  if (!/^[\w.-]+$/.test(tcString)) return UNREADABLE;
  try {
    const [core, ...others] = tcString.split('.') as [string, ...string[]];
    const bits = new BitReader(core);
    const consent = consentIn(bits);
    if (consent !== CONSENTS || mode === 'lenient' || !isOfTcf23(bits)) return consent;
    return disclosureIn(bits, others);
  } catch {
    return UNREADABLE;
  }
}

function consentIn(core: BitReader): Statement {
  core.at = 0;
  if (core.int(BitLength.version) !== 2) return UNREADABLE;
  core.at = AT.purposeConsents;
  const purposes = core.take(BitLength.purposeConsents);
  if (!PURPOSE_IDS.every((id) => purposes[id - 1] === '1')) return NO_PURPOSE;
  core.at = AT.vendorConsents;
  if (!hasVendor(core)) return NO_VENDOR;
  hasVendor(core); // skips the vendors' legitimate interests, to reach the publisher restrictions
  return isRestricted(core) ? RESTRICTED : CONSENTS;
}

/** Since TCF 2.2 both times are the same day. In strings of older platforms the second one is that of the last change. */
function isOfTcf23(core: BitReader): boolean {
  core.at = AT.created;
  const created = core.int(BitLength.created);
  return Math.max(created, core.int(BitLength.lastUpdated)) >= TCF_2_3_FROM;
}

/** The segments behind the core stand in any order. Empty ones occur in real strings. */
function disclosureIn(core: BitReader, segments: readonly string[]): Statement {
  core.at = AT.isServiceSpecific;
  if (core.int(BitLength.isServiceSpecific) !== 1) return GLOBAL;
  let hasDisclosure = false;
  for (const segment of segments) {
    if (segment === '') continue;
    // The type is in the first character; most of the other segments need not be decoded.
    const type = new BitReader(segment.slice(0, 1)).int(BitLength.segmentType);
    if (type === SegmentIDs.KEY_TO_ID.core) return UNREADABLE; // which of the two is meant?
    if (type !== SegmentIDs.KEY_TO_ID.vendorsDisclosed) continue;
    const bits = new BitReader(segment);
    bits.at = BitLength.segmentType;
    if (!hasVendor(bits)) return NOT_DISCLOSED;
    hasDisclosure = true;
  }
  return hasDisclosure ? CONSENTS : NO_DISCLOSURE;
}

/** Reads a list of vendors, a bit field or ranges, to its end. */
function hasVendor(bits: BitReader): boolean {
  const maxId = bits.int(BitLength.maxId);
  const isRange = bits.int(BitLength.encodingType) === 1;
  return isRange ? hasVendorInRanges(bits) : bits.take(maxId)[VENDOR_ID - 1] === '1';
}

function hasVendorInRanges(bits: BitReader): boolean {
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
function isRestricted(bits: BitReader): boolean {
  let found = false;
  for (let left = bits.int(BitLength.numRestrictions); left > 0; left--) {
    const purposeId = bits.int(BitLength.purposeId);
    const type = bits.int(BitLength.restrictionType);
    const isOurs = hasVendorInRanges(bits);
    if (isOurs && PURPOSE_IDS.includes(purposeId) && type !== RestrictionType.REQUIRE_CONSENT) found = true;
  }
  return found;
}

/** The offsets of fields in the core segment; all fields before them have a fixed length. */
const AT = offsetsOf('created', 'isServiceSpecific', 'purposeConsents', 'vendorConsents');

function offsetsOf<Field extends string>(...fields: Field[]): Readonly<Record<Field, number>> {
  const core = new FieldSequence()['2'].core as readonly string[];
  const lengths = BitLength as unknown as Readonly<Record<string, number>>;
  const offsetOf = (field: string) =>
    core.slice(0, core.indexOf(field)).reduce((sum, each) => sum + (lengths[each] as number), 0);
  return Object.fromEntries(fields.map((field) => [field, offsetOf(field)])) as Record<Field, number>;
}
