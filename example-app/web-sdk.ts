import { dirname } from 'node:path';
import express, { type RequestHandler, type Router } from 'express';
import { contentSecurityPolicy } from './headers';
import { consentQuestion } from './pages';

/** What Adobe's Web SDK has to be told, beside the organisation. */
export interface WebSdk {
  readonly datastreamId: string;
  /** The host that it talks to. It takes no port. */
  readonly edgeDomain: string;
}

/** `GET /alloy.js`: Adobe's own build of it, from a package that is looked for only where this is called. */
export function webSdkScript(): Router {
  const root = dirname(require.resolve('@adobe/alloy/components.json'));
  const router = express.Router();
  router.get('/alloy.js', (_req, res) => res.sendFile('dist/alloy.min.js', { root }));
  return router;
}

/** The page on which it runs, and asks for the consent that it and the middleware go by. */
export function showWebSdk(webSdk: WebSdk): RequestHandler {
  const policy = contentSecurityPolicy("script-src 'self'", `connect-src https://${webSdk.edgeDomain}`);
  return (_req, res) => {
    res.set('Content-Security-Policy', policy).render('web-sdk', { page: { hero: consentQuestion }, webSdk });
  };
}
