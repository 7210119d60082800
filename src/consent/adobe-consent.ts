/**
 * Owns: what Adobe's browser clients have written down about the visitor's consent: the Web SDK's `_consent` cookie and
 * the `adobeujs-optin` cookie of the Experience Cloud ID service's opt-in. Never throws. Next: consent-gate.ts.
 */
import { type CookieValue, decodedValue } from '../request/cookie-header';

/** What one source says: the visitor agreed, refused, or nothing. */
export type Agreement = boolean | undefined;

/** `general=in` or `general=out`. The Web SDK's default consent is its configuration, and no cookie. */
export function webSdkConsent(value: CookieValue): Agreement {
  const text = decodedValue(value);
  if (text === undefined) return false;
  const general = text.split(';').findLast((pair) => pair.trimStart().startsWith('general='));
  if (general === undefined) return undefined;
  const choice = general.slice(general.indexOf('=') + 1).trim();
  return choice === 'in' ? true : choice === 'out' ? false : undefined;
}

/**
 * JSON with a boolean for each of Adobe's solutions. Audience Manager's own counts, and that of the ID service, without
 * which it has no id. Where a consent management platform decides, the cookie has only a hash, and says nothing.
 */
export function optInConsent(value: CookieValue): Agreement {
  let choices: unknown;
  try {
    choices = JSON.parse(decodedValue(value) ?? '');
  } catch {
    return false;
  }
  if (typeof choices !== 'object' || choices === null || Array.isArray(choices)) return false;
  const { aam, ecid } = choices as { aam?: unknown; ecid?: unknown };
  if ([aam, ecid].some((choice) => choice !== undefined && choice !== true)) return false;
  return aam === true ? true : undefined;
}
