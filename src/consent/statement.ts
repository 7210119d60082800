/** Owns: what one source says about consent. Next: adobe-consent.ts, tcf.ts, us-privacy.ts and gpp.ts, which read the sources. */
import { type CookieValue, decodedValue } from '../request/cookie-header';

/** The visitor agreed (`true`), refused (`false`), or has said nothing about it. */
export type Agreement = boolean | undefined;

/** What a source says, and why it is understood so. */
export interface Statement {
  readonly agreement: Agreement;
  /** Contains nothing of the source itself, which may identify the visitor. */
  readonly because: string;
  /** The TC string that agrees. It is sent with the call. */
  readonly tcString?: string | undefined;
}

export function agrees(because: string): Statement {
  return { agreement: true, because };
}

export function refuses(because: string): Statement {
  return { agreement: false, because };
}

export function saysNothing(because: string): Statement {
  return { agreement: undefined, because };
}

/** Browsers limit a cookie to about 4 KB. Nothing longer is read, so that a hostile one costs nothing. */
export const MAX_CONSENT_LENGTH = 4_096;

export const TOO_LONG = refuses('it is longer than a cookie can be');
export const UNDECODABLE = refuses('it cannot be percent-decoded');
export const EMPTY = refuses('it has no value');

/** Reads a consent cookie. What cannot be read has not agreed. */
export function readConsent(value: CookieValue, read: (text: string) => Statement): Statement {
  if (value.end - value.start > MAX_CONSENT_LENGTH) return TOO_LONG;
  const text = decodedValue(value);
  if (text === undefined) return UNDECODABLE;
  return text === '' ? EMPTY : read(text);
}
