import express, { type Router } from 'express';
import { amcvName, amcvValue } from './amcv-cookie';
import { PAGES } from './pages';
import { personaOf } from './personas';
import type { Simulation } from './simulation';

/** The chosen persona, for the bar only: the middleware does not read it. */
export const PERSONA_COOKIE = 'persona';

/** `POST /persona` makes the visitor a persona, with the cookie that Adobe's tag would have set. */
export function personaBar({ orgId, introduce }: Simulation): Router {
  const router = express.Router();
  router.post('/persona', express.urlencoded({ extended: false }), (req, res) => {
    const { persona: key, back } = req.body ?? {};
    const persona = personaOf(key);
    if (persona === undefined) {
      res.status(400).type('text').send('Unknown persona.');
      return;
    }
    const ecid = introduce(persona);
    if (ecid === undefined) {
      res.clearCookie(amcvName(orgId));
    } else {
      const { region = 9, optOut = 'NONE' } = persona;
      // Not httpOnly, since Adobe's script has to read it.
      res.cookie(amcvName(orgId), amcvValue({ ecid, region, optOut }), { sameSite: 'lax' });
    }
    res.cookie(PERSONA_COOKIE, persona.key, { sameSite: 'lax', httpOnly: true });
    // Only to a known page: an address from the form would be an open redirect.
    res.redirect(303, PAGES.find(({ path }) => path === back)?.path ?? '/');
  });
  return router;
}
