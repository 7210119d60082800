import { tracingChannel } from 'node:diagnostics_channel';
import type { Express, RequestHandler } from 'express';

interface Layer {
  handle: RequestHandler & { stack?: Layer[] };
  readonly route?: { readonly stack: Layer[] };
}

/** How a tool makes the handler that it puts in place of another one look like it. */
type Likeness = (original: RequestHandler) => PropertyDescriptorMap;

const inEveryProperty: Likeness = (original) => {
  const { prototype, ...properties } = Object.getOwnPropertyDescriptors(original) as unknown as PropertyDescriptorMap;
  return properties;
};
const inWhatForInFinds: Likeness = (original) => Object.getOwnPropertyDescriptors({ ...original });
const inNothing: Likeness = () => ({});

/** Replaces every handler of an app by one that gives it a `next` of its own. */
function replaceHandlers(app: Express, likeness: Likeness): void {
  const replaceIn = (layers: readonly Layer[]) => {
    for (const layer of layers) {
      const { handle, route } = layer;
      replaceIn(route?.stack ?? handle.stack ?? []);
      if (handle.length === 4) continue;
      const traced: RequestHandler = (req, res, next) => handle(req, res, (error) => next(error));
      layer.handle = Object.defineProperties(traced, likeness(handle));
    }
  };
  // Express 4 keeps it in `_router`, and throws when it is asked for `router`.
  const { _router } = app as unknown as { _router?: { stack: Layer[] } };
  const { stack } = _router ?? (app.router as unknown as { stack: Layer[] });
  replaceIn(stack);
}

const channel = tracingChannel('express.router.request');
const subscriber = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} };

/** What looks on, and how it begins to. */
export const TRACING: Readonly<Record<string, (app: Express) => void>> = {
  'no tracing': () => {},
  'a tracing tool that copies every property': (app) => replaceHandlers(app, inEveryProperty),
  'a tracing tool that copies what for...in finds': (app) => replaceHandlers(app, inWhatForInFinds),
  'the tracing channel of Express 5': () => {
    stopTracing();
    channel.subscribe(subscriber);
  },
};

export function traceWithoutLikeness(app: Express): void {
  replaceHandlers(app, inNothing);
}

/** To be called after each test. */
export function stopTracing(): void {
  channel.unsubscribe(subscriber);
}
