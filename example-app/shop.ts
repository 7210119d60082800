import { join } from 'node:path';
import cookieParser from 'cookie-parser';
import express, { type Express, type RequestHandler } from 'express';
import { requireSegment, routeBySegment } from 'express-aam-segments';
import { type Demo, showDemo, startClock } from './demo';
import { strictHeaders } from './headers';
import { golfHome, landingFor, lounge, notYet, PAGES, type Page, plainHome, vipHome } from './pages';
import { personaBar } from './persona-bar';

/** The shop, ready to listen. */
export function createShop(demo: Demo): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('view engine', 'ejs').set('views', join(__dirname, 'views'));
  app.use(strictHeaders);
  // Before the middleware: nobody has to be known for a stylesheet.
  app.use(express.static(join(__dirname, 'public')));
  app.use(cookieParser());
  if (demo.simulation !== undefined) app.use(personaBar(demo.simulation));

  app.use(startClock, demo.aam, showDemo(demo));
  app.use((req, res, next) => {
    Object.assign(res.locals, { pages: PAGES, path: req.path });
    next();
  });

  app.get('/', routeBySegment({ golfFans: show(golfHome), highValue: show(vipHome), default: show(plainHome) }));
  app.get('/landing', (req, res) => res.render('landing', { page: landingFor(req.aamSegments) }));
  app.get('/members', requireSegment('highValue'), show(lounge));
  app.get('/members', show(notYet, 403));
  return app;
}

function show(page: Page, status = 200): RequestHandler {
  return (_req, res) => {
    res.status(status).render('page', { page });
  };
}
