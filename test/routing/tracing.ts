import { tracingChannel } from 'node:diagnostics_channel';
import type { Express, RequestHandler } from 'express';

interface Layer {
  handle: RequestHandler & { stack?: Layer[] };
  readonly route?: { readonly stack: Layer[] };
}

/** Wraps every handler of an app and its `next`, as tracing tools do. */
function replaceHandlers(app: Express): void {
  const replaceIn = (layers: readonly Layer[]) => {
    for (const layer of layers) {
      const { handle, route } = layer;
      replaceIn(route?.stack ?? handle.stack ?? []);
      if (handle.length === 4) continue;
      layer.handle = (req, res, next) => handle(req, res, (error) => next(error));
    }
  };
  // Express 4 has the router in `_router`, and throws when `router` is read.
  const { _router } = app as unknown as { _router?: { stack: Layer[] } };
  const { stack } = _router ?? (app.router as unknown as { stack: Layer[] });
  replaceIn(stack);
}

const channel = tracingChannel('express.router.request');
const subscriber = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} };

/** Tracing tools, and how each is turned on for an app. */
export const TRACING: Readonly<Record<string, (app: Express) => void>> = {
  'no tracing': () => {},
  'a tracing tool that replaces handlers': replaceHandlers,
  'the tracing channel of Express 5': () => {
    stopTracing();
    channel.subscribe(subscriber);
  },
};

/** Call after each test. */
export function stopTracing(): void {
  channel.unsubscribe(subscriber);
}
