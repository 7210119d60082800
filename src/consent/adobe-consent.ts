/**
 * Owns: the consent cookies of Adobe's browser code: the Web SDK's `_consent` cookie and the `adobeujs-optin` cookie of the
 * Experience Cloud ID service. Never throws. Next: tcf.ts.
 */
import { agrees, refuses, type Statement, saysNothing } from './statement';

const IN = agrees('general is in');
const OUT = refuses('general is out');
const UNDECIDED = saysNothing('it has no entry for general');
const NO_ENTRIES = refuses('it is not a list of name=value');
const UNKNOWN_CHOICE = refuses('general is neither in nor out');

/**
 * `general=in` or `general=out`, among other entries separated by `;`. The Web SDK's default consent is not in the cookie, only
 * in its configuration. An entry that the Web SDK does not write, such as `General=in` or a second one that contradicts the
 * first, is not an agreement.
 */
export function webSdkStatement(text: string): Statement {
  let statement = UNDECIDED;
  let hasEntry = false;
  for (const entry of text.split(';')) {
    if (entry.trim() === '') continue;
    hasEntry = true;
    const equals = entry.indexOf('=');
    if (equals === -1) return NO_ENTRIES;
    const name = entry.slice(0, equals).trim();
    if (name.toLowerCase() !== 'general') continue;
    const choice = entry.slice(equals + 1).trim();
    if (choice === 'out') return OUT;
    if (choice !== 'in' || name !== 'general') return UNKNOWN_CHOICE;
    statement = IN;
  }
  return hasEntry ? statement : NO_ENTRIES;
}

const ALLOWED = agrees('aam is true');
const NO_CHOICES = saysNothing('it has no choice for aam');
const DENIED = refuses('aam or ecid is not true');
const NOT_JSON = refuses('it is not a JSON object as the opt-in service writes it');

/**
 * JSON with a boolean per Adobe solution. Audience Manager needs its own, and that of the ID service, which gives it the id.
 * Where a consent management platform decides, the cookie only has a hash, and says nothing. JSON in which a key is repeated
 * is not an agreement: of contradicting values, parsers keep the last.
 */
export function optInStatement(text: string): Statement {
  let choices: unknown;
  try {
    choices = JSON.parse(text);
    if (JSON.stringify(choices) !== withoutBlanks(text)) return NOT_JSON;
  } catch {
    return NOT_JSON;
  }
  if (typeof choices !== 'object' || choices === null || Array.isArray(choices)) return NOT_JSON;
  const { aam, ecid } = choices as { aam?: unknown; ecid?: unknown };
  if ([aam, ecid].some((choice) => choice !== undefined && choice !== true)) return DENIED;
  return aam === true ? ALLOWED : NO_CHOICES;
}

/** Valid JSON without the blanks between its parts. */
function withoutBlanks(json: string): string {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');
}
