/** An entry of an answer's `errors`. The `X-Error` header has the codes, too. */
export interface DcsError {
  readonly code: number;
  readonly msg: string;
}

/** AAM docs, DCS error codes. Adobe puts an id, a host name or a number where `{}` is. */
const MESSAGES: Readonly<Record<number, string>> = {
  0: 'Unspecified error',
  1: 'Could not find config for hostname: {}',
  2: 'Invalid d_orgid value (could not find a config for this org id): {}',
  10: 'Unable to evaluate traits',
  100: 'Could not retrieve host name for the request',
  101: 'Invalid Experience Cloud id passed in {}',
  102: 'Invalid AAM ID passed in request {}',
  104: 'All customer IDs are invalid',
  109: 'Referer {} is not allowed for partner',
  111: 'Invalid IMS token received',
  171: 'Encountered opt out tag for id {}',
  172: 'Blocked cookies',
  173: 'Encountered trust relationship via NAI',
  198: 'Requests from this country are blocked by partner',
  199: 'Requests from this country are not allowed',
  200: 'Cannot read traits from profile cache for id: {}',
  201: 'Cannot read device ids from profile cache for customer id: {}',
  202: 'Cannot read related customer for device id: {}',
  203: 'Cannot read device cluster for id: {}',
  204: 'Could not perform migration since profile read failed for primary device',
  205: 'Could not perform migration, because profile read failed for {}',
  300: 'Invalid customer id {}',
  301: 'Maximum number of customer ids exceeded. Maximum allowed is 10. Found is {}.',
  302: 'Unauthorized customer id {}',
  303: 'Blocked customer id {}',
  304: 'Blocked datasource id {}',
  306: 'Blocked declared device id {}',
  307: 'Blocked profile operation for {}',
  309: 'Customer id {} was discarded because it exceeded the limit of declared customer ids per request',
  310: 'Customer id was discarded because it exceeded the limit for a given namespace: customer id is {}',
  311: 'Request contains invalid parameters',
  312: 'Request contains an invalid Global Device ID',
  313: 'CMP ID is not present in GCL',
  314: 'CMP ID is marked as deleted in GCL',
  315: 'Consent string indicates no consent',
};

/** Codes from 300 up that end the processing of the call nevertheless. */
const ENDING_WARNINGS: readonly number[] = [306, 307, 311, 315];

export function dcsError(code: number, subject = ''): DcsError {
  const message = MESSAGES[code] ?? `Undocumented error ${code}`;
  return { code, msg: message.replace('{}', subject).trimEnd() };
}

/** Whether an answer with this error has data: codes from 300 up are warnings. */
export function comesWithData({ code }: DcsError): boolean {
  return code >= 300 && !ENDING_WARNINGS.includes(code);
}
