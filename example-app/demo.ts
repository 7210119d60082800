import { performance } from 'node:perf_hooks';
import type { RequestHandler } from 'express';
import type { Aam } from './aam';
import type { Crm } from './crm';
import { panelOf } from './panel';
import { PERSONA_COOKIE } from './persona-bar';
import { PERSONAS, personaOf } from './personas';
import type { Simulation } from './simulation';
import type { WebSdk } from './web-sdk';

export interface Demo {
  /** With it, the shop has a customer desk. */
  readonly crm?: Crm | undefined;
  readonly aam: Aam;
  /** Whose cookies are read. */
  readonly orgId: string;
  /** With it, visitors choose who they are; without it, they are who Adobe's cookies say. */
  readonly simulation?: Simulation | undefined;
  /** With it, the shop has a page on which Adobe's Web SDK runs. */
  readonly webSdk?: WebSdk | undefined;
}

/** Mounted before the middleware: looks at the clock. */
export const startClock: RequestHandler = (_req, res, next) => {
  res.locals.startedAt = performance.now();
  next();
};

/** Mounted behind the middleware: tells the views what there is to show of it, next to the shop itself. */
export function showDemo({ aam, orgId, simulation }: Demo): RequestHandler {
  return (req, res, next) => {
    const heldMs = performance.now() - res.locals.startedAt;
    const segments = req.aamSegments;
    const persona = simulation && personaOf(req.cookies[PERSONA_COOKIE]);
    Object.assign(res.locals, {
      orgId,
      panel: panelOf(segments, heldMs, aam.stats()),
      note: persona?.notes?.[segments.status],
      personas: simulation && PERSONAS.map(({ key, label }) => ({ key, label, isChosen: key === persona?.key })),
    });
    next();
  };
}
