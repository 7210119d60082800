/**
 * Owns: whether a US Privacy string of the IAB (`usprivacy`, such as `1YNN`) refuses: version, notice given, opted out of the
 * sale of personal data, covered by the Limited Service Provider Agreement. Never throws. Next: gpp.ts, which can contain one.
 *
 * The IAB has deprecated it in favour of GPP, and consent management platforms still write it.
 */
import { refuses, type Statement, saysNothing } from './statement';

const UNREADABLE = refuses('it is not a US Privacy string of version 1');
const OPTED_OUT = refuses('the visitor opted out of the sale of personal data');
const NOT_OPTED_OUT = saysNothing('no opt-out of the sale of personal data');

/** A visitor who has not opted out has not agreed either: the string knows no agreement. */
export function usPrivacyStatement(text: string): Statement {
  if (!/^1[YN-]{3}$/.test(text)) return UNREADABLE;
  return text[2] === 'Y' ? OPTED_OUT : NOT_OPTED_OUT;
}
