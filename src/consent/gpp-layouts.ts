/**
 * Owns: where the fields are in the GPP sections of the US and its states. `@iabgpp/cmpapi`, an optional peer, knows, and every
 * year brings new states. Its decoder is slow, so it is only asked to encode: a field is where the bits differ. Next: gpp.ts.
 */
import { BitReader } from './bit-reader';

export const INSTALL_GPP = 'npm install @iabgpp/cmpapi@3';

/** What is used of the package. */
export interface GppPackage {
  readonly GppModel: new () => {
    setFieldValue(section: string, field: string, value: unknown): void;
    encodeSection(section: string): string;
    decodeSection(section: string, encoded: string): void;
    getFieldValue(section: string, field: string): unknown;
  };
  readonly Sections: { readonly SECTION_ID_NAME_MAP: ReadonlyMap<number, string> };
}

/** The core segment of a section. */
export interface SectionLayout {
  /** The newest version of the section that the package knows. */
  readonly version: number;
  /** The offsets, in bits, of the choices about sale, sharing and targeted advertising, as far as the section has them. */
  readonly optOutsAt: readonly number[];
  /** By version, the least number of characters in which it can be read; fewer: it was truncated. */
  readonly minLengths: readonly number[];
}

const OPT_OUT_FIELDS = ['SaleOptOut', 'SharingOptOut', 'TargetedAdvertisingOptOut'];
const VERSION_FIELDS = ['Version', 'MspaVersion'];
const OPTED_OUT = 1;
const VERSION_BITS = 6;

export class GppLayouts {
  readonly #package: GppPackage;
  readonly #known = new Map<number, SectionLayout | undefined>();

  constructor(gppPackage: GppPackage) {
    this.#package = gppPackage;
  }

  /** `undefined` for a section that the package does not know. */
  of(sectionId: number): SectionLayout | undefined {
    if (!this.#known.has(sectionId)) this.#known.set(sectionId, this.#layoutOf(sectionId));
    return this.#known.get(sectionId);
  }

  #layoutOf(sectionId: number): SectionLayout | undefined {
    const name = this.#package.Sections.SECTION_ID_NAME_MAP.get(sectionId);
    if (name === undefined) return undefined;
    const fields = OPT_OUT_FIELDS.filter((field) => this.#coreWith(name, field, OPTED_OUT) !== undefined);
    const [versionField] = VERSION_FIELDS.filter((field) => this.#coreWith(name, field, 1) !== undefined);
    const none = fields[0] && this.#coreWith(name, fields[0], 0);
    if (none === undefined || versionField === undefined) return undefined;
    const version = new BitReader(none).int(VERSION_BITS);
    const minLengths = Array.from({ length: version }, (_, n) => this.#minLength(name, versionField, n + 1));
    const optOutsAt = fields.map((field) => offsetOfChoice(none, this.#coreWith(name, field, OPTED_OUT) as string));
    return { version, minLengths: [Infinity, ...minLengths], optOutsAt };
  }

  /** The package pads with more characters than other encoders do. */
  #minLength(section: string, versionField: string, version: number): number {
    const core = this.#coreWith(section, versionField, version) as string;
    let { length } = core;
    while (this.#canRead(section, versionField, core.slice(0, length - 1))) length--;
    return length;
  }

  #canRead(section: string, field: string, core: string): boolean {
    const model = new this.#package.GppModel();
    try {
      model.setFieldValue(section, field, 1);
      model.decodeSection(section, core);
      model.getFieldValue(section, field);
      return core !== '';
    } catch {
      return false;
    }
  }

  /** The core segment of a section in which nothing else is set; `undefined` if the section has no such field. */
  #coreWith(section: string, field: string, value: number): string | undefined {
    const model = new this.#package.GppModel();
    try {
      model.setFieldValue(section, field, value);
    } catch {
      return undefined;
    }
    return model.encodeSection(section).split('.', 1)[0] as string;
  }
}

/** A choice has two bits; 1 differs from 0 in the second one. */
function offsetOfChoice(none: string, optedOut: string): number {
  const [a, b] = [none, optedOut].map((text) => new BitReader(text).take(6 * text.length)) as [string, string];
  return [...a].findIndex((bit, at) => bit !== b[at]) - 1;
}

/** The optional peer; `undefined` if it is not installed. */
export function gppPackage(): GppPackage | undefined {
  try {
    require.resolve('@iabgpp/cmpapi');
  } catch {
    return undefined;
  }
  // Outside of the `try`: an installed package that is broken says so itself.
  return require('@iabgpp/cmpapi');
}
