import express, { type Router } from 'express';
import { amcvName, amcvValue } from './amcv-cookie';
import { PAGES } from './pages';
import { personaOf } from './personas';
import type { Simulation } from './simulation';

/** Remembers which button was pressed. The middleware knows nothing of it. */
export const PERSONA_COOKIE = 'persona';

/** `POST /persona` turns the visitor into somebody else, by the cookie that Adobe's tag would have set. */
export function personaBar({ orgId, introduce }: Simulation): Router {
  const router = express.Router();
  router.post('/persona', express.urlencoded({ extended: false }), (req, res) => {
    const { persona: key, back } = req.body ?? {};
    const persona = personaOf(key);
    if (persona === undefined) {
      res.status(400).type('text').send('There is no such persona.');
      return;
    }
    const ecid = introduce(persona);
    if (ecid === undefined) {
      res.clearCookie(amcvName(orgId));
    } else {
      const { region = 9, optOut = 'NONE' } = persona;
      // Not httpOnly: Adobe's script has to read it.
      res.cookie(amcvName(orgId), amcvValue({ ecid, region, optOut }), { sameSite: 'lax' });
    }
    res.cookie(PERSONA_COOKIE, persona.key, { sameSite: 'lax', httpOnly: true });
    // Only ever to a page of ours: an address taken from the form could lead anywhere.
    res.redirect(303, PAGES.find(({ path }) => path === back)?.path ?? '/');
  });
  return router;
}
