import { performance } from 'node:perf_hooks';
import type { RequestHandler } from 'express';
import type { Aam } from './aam';
import type { Crm } from './crm';
import type { Experiments } from './experiments';
import { panelOf } from './panel';
import { PERSONA_COOKIE } from './persona-bar';
import { PERSONAS, personaOf } from './personas';
import { badgeOf, type Previews } from './preview-desk';
import type { Simulation } from './simulation';
import type { WebSdk } from './web-sdk';

export interface Demo {
  /** Adds a customer desk. */
  readonly crm?: Crm | undefined;
  readonly aam: Aam;
  /** The organisation whose cookies are read. */
  readonly orgId: string;
  /** Adds a bar of personas. Without it, visitors are those in Adobe's cookies. */
  readonly simulation?: Simulation | undefined;
  /** Adds a page on which marketers make preview links. */
  readonly previews?: Previews | undefined;
  /** Adds a page that runs Adobe's Web SDK. */
  readonly webSdk?: WebSdk | undefined;
}

/** Mounted before the middleware, to measure its wait. */
export const startClock: RequestHandler = (_req, res, next) => {
  res.locals.startedAt = performance.now();
  next();
};

/** Mounted after the middleware: passes what the panel shows to the views. */
export function showDemo({ aam, orgId, simulation }: Demo, { lesson }: Experiments): RequestHandler {
  return (req, res, next) => {
    const heldMs = performance.now() - res.locals.startedAt;
    const segments = req.aamSegments;
    const persona = simulation && personaOf(req.cookies[PERSONA_COOKIE]);
    Object.assign(res.locals, {
      orgId,
      badge: res.locals.aamPreview && badgeOf(res.locals.aamPreview),
      // Looking at a variant is no exposure.
      panel: panelOf(segments, heldMs, aam.stats(), { experiment: lesson.name, ...lesson.assignmentOf(req) }),
      note: persona?.notes?.[segments.status],
      personas: simulation && PERSONAS.map(({ key, label }) => ({ key, label, isChosen: key === persona?.key })),
    });
    next();
  };
}
