import { join } from 'node:path';
import cookieParser from 'cookie-parser';
import express, { type Express, type RequestHandler } from 'express';
import { requireSegment, routeBySegment } from 'express-aam-segments';
import { crmDesk } from './crm';
import { type Demo, showDemo, startClock } from './demo';
import { defineExperiments } from './experiments';
import { strictHeaders } from './headers';
import {
  freeLesson,
  golfHome,
  landingFor,
  lounge,
  notYet,
  PAGES,
  type Page,
  plainHome,
  vipHome,
  WEB_SDK_PAGE,
} from './pages';
import { personaBar } from './persona-bar';
import { previewDesk } from './preview-desk';
import { showWebSdk, webSdkScript } from './web-sdk';

/** The shop, ready to listen. */
export function createShop(demo: Demo): Express {
  const app = express();
  const experiments = defineExperiments(demo.aam);
  app.disable('x-powered-by');
  app.set('view engine', 'ejs').set('views', join(__dirname, 'views'));
  app.use(strictHeaders);
  // Before the middleware, which is not needed for a stylesheet.
  app.use(express.static(join(__dirname, 'public')));
  if (demo.webSdk !== undefined) app.use(webSdkScript());
  // Before the middleware, too, since staff are not visitors.
  if (demo.crm !== undefined) app.use(crmDesk(demo.crm));
  if (demo.previews !== undefined) app.use(previewDesk(demo.aam, demo.previews));
  app.use(cookieParser());
  if (demo.simulation !== undefined) app.use(personaBar(demo.simulation));

  const pages = demo.webSdk === undefined ? PAGES : [...PAGES, WEB_SDK_PAGE];
  app.use(startClock, demo.aam, showDemo(demo, experiments));
  app.use((req, res, next) => {
    Object.assign(res.locals, { pages, path: req.path, hasPreviews: demo.previews !== undefined });
    next();
  });

  app.get('/', routeBySegment({ golfFans: show(golfHome), highValue: show(vipHome), default: show(plainHome) }));
  app.get('/landing', (req, res) => {
    const hasLesson = experiments.lesson.variantOf(req) === 'lesson';
    res.render('landing', { page: landingFor(req.aamSegments), lesson: hasLesson ? freeLesson : undefined });
  });
  // Nothing in the lounge is secret, so marketers may look at it in a preview.
  app.get('/members', requireSegment('highValue', { otherwise: show(notYet, 403), preview: true }), show(lounge));
  if (demo.webSdk !== undefined) app.get(WEB_SDK_PAGE.path, showWebSdk(demo.webSdk));
  return app;
}

function show(page: Page, status = 200): RequestHandler {
  return (_req, res) => {
    res.status(status).render('page', { page });
  };
}
