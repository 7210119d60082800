/**
 * Owns: what a request says about consent, without serving it: none of the site's functions is called, nothing is looked up, and
 * nothing changes. Next: ../consent/explanation.ts.
 */
import type { IncomingMessage } from 'node:http';
import { type ConsentExplanation, unreadableRequest } from '../consent/explanation';
import { assert, isRecord } from '../option-checks';
import type { ServedRequest, Site } from './page-request';

/** @throws {AamError} `ERR_AAM_INVALID_OPTION` for what is no request */
export function explainConsent({ cookies, identityReader, gate }: Site, given: IncomingMessage): ConsentExplanation {
  assert(isRecord(given), 'the argument of consent.explain()', 'a request', given);
  const req: ServedRequest = given;
  try {
    const headers = req.headers ?? {};
    const { cookie } = headers;
    const found = cookies.find(cookie, cookie === undefined ? req.cookies : undefined);
    return gate.explain(headers, found, identityReader.optOutsIn(found));
  } catch {
    // As when the request is served: what it hides may be a refusal.
    return unreadableRequest();
  }
}
