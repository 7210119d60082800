/**
 * Owns: the cookies that say whether the visitor agreed, and how each is read. Never throws. It must not know what follows from
 * what they say. Next: consent-gate.ts.
 */
import { detachedString } from '../cache/detached-string';
import { KnownTexts } from '../cache/known-texts';
import type { ConsentSignal } from '../channels/messages';
import type { CookieFinder, CookieSlot, CookieValue } from '../request/cookie-header';
import { optInStatement, webSdkStatement } from './adobe-consent';
import { GppReader } from './gpp';
import { readConsent, type Statement } from './statement';
import { type TcfMode, tcfStatement } from './tcf';
import { usPrivacyStatement } from './us-privacy';

/** The resolved options that choose and read the cookies. */
export interface ConsentCookiesConfig {
  /** The name of the Web SDK's consent cookie. */
  readonly webSdkCookie: string;
  /** The names of the cookies with a TC string. */
  readonly tcfCookie: readonly string[];
  /** How strictly TC strings are read. */
  readonly tcf: TcfMode;
  /** Whether `__gpp` is read. */
  readonly gpp: boolean;
  /** Whether `usprivacy` is read. */
  readonly usPrivacy: boolean;
  /** Whether Global Privacy Control is a refusal. */
  readonly gpc: boolean;
}

export interface ConsentCookie {
  readonly signal: ConsentSignal & ('tcf' | 'web-sdk' | 'opt-in' | 'gpp' | 'us-privacy');
  readonly name: string;
  readonly slot: CookieSlot;
  readonly read: (value: CookieValue) => Statement;
}

/** All consent cookies that are read, in the order in which they are named as what decided. */
export function consentCookies(config: ConsentCookiesConfig, finder: CookieFinder): readonly ConsentCookie[] {
  const cookie = (signal: ConsentCookie['signal'], name: string, read: ConsentCookie['read']): ConsentCookie => {
    return { signal, name, slot: finder.register(name), read };
  };
  const readTcString = remembering((text) => withTcString(tcfStatement(text, config.tcf), text));
  const gpp = new GppReader(config);
  return [
    ...config.tcfCookie.map((name) => cookie('tcf', name, readTcString)),
    cookie('web-sdk', config.webSdkCookie, reading(webSdkStatement)),
    cookie('opt-in', 'adobeujs-optin', reading(optInStatement)),
    ...(config.gpp
      ? [
          cookie(
            'gpp',
            '__gpp',
            remembering((text) => gpp.statement(text)),
          ),
        ]
      : []),
    ...(config.usPrivacy ? [cookie('us-privacy', 'usprivacy', reading(usPrivacyStatement))] : []),
  ];
}

/**
 * Reading a string of the IAB costs more than the rest of the gate, and a visitor sends the same one with every request.
 * Refusals are not remembered: made-up strings would take the place of the usual ones.
 */
function remembering(read: (text: string) => Statement): ConsentCookie['read'] {
  const known = new KnownTexts<Statement>();
  return (value) => {
    const { text, start, end } = value;
    const remembered = known.get(text, start, end);
    if (remembered !== undefined) return remembered;
    const statement = readConsent(value, read);
    if (statement.agreement !== false) known.add(text.slice(start, end), statement);
    return statement;
  };
}

function reading(read: (text: string) => Statement): ConsentCookie['read'] {
  return (value) => readConsent(value, read);
}

function withTcString(statement: Statement, tcString: string): Statement {
  return statement.agreement === true ? { ...statement, tcString: detachedString(tcString) } : statement;
}
