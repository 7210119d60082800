import { tracingChannel } from 'node:diagnostics_channel';
import type { Express, RequestHandler } from 'express';

interface Layer {
  handle: RequestHandler & { stack?: Layer[] };
  readonly route?: { readonly stack: Layer[] };
}

/** Replaces every handler of an app by one that gives it a `next` of its own, as tracing tools do. */
function replaceHandlers(app: Express): void {
  const replaceIn = (layers: readonly Layer[]) => {
    for (const layer of layers) {
      const { handle, route } = layer;
      replaceIn(route?.stack ?? handle.stack ?? []);
      if (handle.length === 4) continue;
      layer.handle = (req, res, next) => handle(req, res, (error) => next(error));
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
  'a tracing tool that replaces handlers': replaceHandlers,
  'the tracing channel of Express 5': () => {
    stopTracing();
    channel.subscribe(subscriber);
  },
};

/** To be called after each test. */
export function stopTracing(): void {
  channel.unsubscribe(subscriber);
}
