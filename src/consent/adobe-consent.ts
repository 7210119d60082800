/**
 * Owns: the consent cookies of Adobe's browser code: the Web SDK's `_consent` cookie and the `adobeujs-optin` cookie of the
 * Experience Cloud ID service. Never throws. Next: tcf.ts.
 */
import { type CookieValue, decodedValue } from '../request/cookie-header';

/** What a source says: the visitor agreed (`true`), refused (`false`), or nothing. */
export type Agreement = boolean | undefined;

/** `general=in` or `general=out`. The Web SDK's default consent is not in the cookie, only in its configuration. */
export function webSdkConsent(value: CookieValue): Agreement {
  const text = decodedValue(value);
  if (text === undefined) return false;
  const general = text.split(';').findLast((pair) => pair.trimStart().startsWith('general='));
  if (general === undefined) return undefined;
  const choice = general.slice(general.indexOf('=') + 1).trim();
  return choice === 'in' ? true : choice === 'out' ? false : undefined;
}

/**
 * JSON with a boolean per Adobe solution. Audience Manager needs its own, and that of the ID service, which gives it the id.
 * Where a consent management platform decides, the cookie only has a hash, and says nothing.
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
