/**
 * Owns: whether a GPP string of the IAB's Global Privacy Platform (the cookie `__gpp`) refuses: an opt-out of sale, sharing or
 * targeted advertising in a section of a US state or of the US as a whole, a browser's Global Privacy Control that a section
 * reports, or a US Privacy or TC string inside it that refuses. Never throws. Next: consent-gate.ts.
 *
 * A visitor can send any string: the header of one can announce millions of sections. Nothing is expanded here, and only the
 * fields that matter are read.
 */
import { Warnings } from '../diagnosis/warnings';
import { BitReader } from './bit-reader';
import { GppLayouts, type GppPackage, gppPackage, INSTALL_GPP } from './gpp-layouts';
import { MAX_CONSENT_LENGTH, refuses, type Statement, saysNothing, TOO_LONG } from './statement';
import { type TcfMode, tcfStatement } from './tcf';
import { usPrivacyStatement } from './us-privacy';

/** The resolved options that reading needs. */
export interface GppConfig {
  readonly tcf: TcfMode;
  /** Whether a section's report of Global Privacy Control counts. */
  readonly gpc: boolean;
}

const HEADER_TYPE = 3;
const VERSION = 1;
/** GPP specification, "Section Information". */
const TCF_EU_V2 = 2;
const US_PRIVACY = 6;
const FIRST_US_SECTION = 7;
/** A list of all sections that exist takes a few characters. */
const MAX_HEADER_LENGTH = 128;

const OPTED_OUT = 1;
const MAX_CHOICE = 2; // 0: not applicable, 1: opted out, 2: did not opt out
const GPC_SEGMENT = 1;

const UNREADABLE = refuses('it is not a GPP string of version 1');
const UNREADABLE_SECTION = refuses('a section of it cannot be read');
const UNKNOWN_SECTION = refuses('the installed @iabgpp/cmpapi does not know a section of it');
const NO_PACKAGE = refuses('@iabgpp/cmpapi, which reads its sections of US states, is not installed');
const SAID_NO = refuses('the visitor opted out of sale, sharing or targeted advertising');
const SENT_GPC = refuses('it reports Global Privacy Control');
const NOT_OPTED_OUT = saysNothing('no opt-out of sale, sharing or targeted advertising');

export class GppReader {
  readonly #config: GppConfig;
  readonly #load: () => GppPackage | undefined;
  #layouts: GppLayouts | undefined;
  readonly #warnings = new Warnings();

  /** @param load loads the package; called when the first string with a US section is met */
  constructor(config: GppConfig, load: () => GppPackage | undefined = gppPackage) {
    this.#config = config;
    this.#load = load;
  }

  /** A visitor who has not opted out has not agreed either. */
  statement(gppString: string): Statement {
    if (gppString.length > MAX_CONSENT_LENGTH) return TOO_LONG;
    if (!/^[\w.~-]+$/.test(gppString)) return UNREADABLE;
    const [header, ...sections] = gppString.split('~') as [string, ...string[]];
    const ids = sectionIdsIn(header, sections.length);
    if (ids === undefined) return UNREADABLE;
    for (const [n, section] of sections.entries()) {
      const statement = this.#inSection(ids[n] as number, section);
      if (statement.agreement === false) return statement;
    }
    return NOT_OPTED_OUT;
  }

  #inSection(id: number, section: string): Statement {
    if (id === TCF_EU_V2) return tcfStatement(section, this.#config.tcf);
    if (id === US_PRIVACY) return usPrivacyStatement(section);
    // Canada's, and those that are not about a choice.
    if (id < FIRST_US_SECTION) return NOT_OPTED_OUT;
    return this.#inUsSection(id, section);
  }

  #inUsSection(id: number, section: string): Statement {
    if (this.#layouts === undefined) {
      const loaded = this.#load();
      if (loaded === undefined) {
        this.#warn();
        return NO_PACKAGE;
      }
      this.#layouts = new GppLayouts(loaded);
    }
    try {
      const layout = this.#layouts.of(id);
      if (layout === undefined) return UNKNOWN_SECTION;
      const [core, ...others] = section.split('.') as [string, ...string[]];
      const bits = new BitReader(core);
      const version = bits.int(6);
      if (version > layout.version || core.length < (layout.minLengths[version] as number)) return UNREADABLE_SECTION;
      for (bits.at of layout.optOutsAt) {
        const choice = bits.int(2);
        if (choice === OPTED_OUT) return SAID_NO;
        if (choice > MAX_CHOICE) return UNREADABLE_SECTION;
      }
      return this.#config.gpc && others.some(reportsGpc) ? SENT_GPC : NOT_OPTED_OUT;
    } catch {
      return UNREADABLE_SECTION;
    }
  }

  #warn(): void {
    const problem =
      'A visitor has a GPP string with a section of a US state, and the package that reads it is not installed';
    const advice = `All such visitors count as having refused. ${INSTALL_GPP}, or set options.consent.gpp to false`;
    this.#warnings.warn('WRN_AAM_CONSENT', `${problem}. ${advice}.`);
  }
}

function reportsGpc(segment: string): boolean {
  const bits = new BitReader(segment.slice(0, 1));
  return bits.int(2) === GPC_SEGMENT && bits.int(1) === 1;
}

/** The ids of a string's sections, in their order; `undefined` if the header is malformed, or names another number of them. */
function sectionIdsIn(header: string, expected: number): readonly number[] | undefined {
  const ids: number[] = [];
  if (header.length > MAX_HEADER_LENGTH) return undefined;
  try {
    const bits = new BitReader(header);
    if (bits.int(6) !== HEADER_TYPE || bits.int(6) !== VERSION) return undefined;
    let last = 0;
    for (let left = bits.int(12); left > 0; left--) {
      const isGroup = bits.take(1) === '1';
      const first = last + bits.fibonacci();
      last = isGroup ? first + bits.fibonacci() : first;
      if (last - first + 1 > expected - ids.length) return undefined;
      for (let id = first; id <= last; id++) ids.push(id);
    }
  } catch {
    return undefined;
  }
  return ids.length === expected ? ids : undefined;
}
