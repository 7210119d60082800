import { dirname } from 'node:path';
import express, { type RequestHandler, type Router } from 'express';
import { contentSecurityPolicy } from './headers';
import { consentQuestion } from './pages';

/** Configuration of Adobe's Web SDK, besides the organisation. */
export interface WebSdk {
  readonly datastreamId: string;
  /** The host of Adobe's Edge Network, without a port. */
  readonly edgeDomain: string;
}

/** `GET /alloy.js`: Adobe's build of the Web SDK, from a package that is only resolved when this is called. */
export function webSdkScript(): Router {
  const root = dirname(require.resolve('@adobe/alloy/components.json'));
  const router = express.Router();
  router.get('/alloy.js', (_req, res) => res.sendFile('dist/alloy.min.js', { root }));
  return router;
}

/** A page that runs the Web SDK and asks for the visitor's consent, which the middleware reads, too. */
export function showWebSdk(webSdk: WebSdk): RequestHandler {
  const policy = contentSecurityPolicy("script-src 'self'", `connect-src https://${webSdk.edgeDomain}`);
  return (_req, res) => {
    res.set('Content-Security-Policy', policy).render('web-sdk', { page: { hero: consentQuestion }, webSdk });
  };
}
