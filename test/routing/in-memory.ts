import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Express } from 'express';

export type Method = 'get' | 'head' | 'post' | 'options';

export interface Answer {
  readonly status: number;
  /** The body; for a HEAD request, the status. */
  readonly text: string;
}

/** Makes a request to an app without a socket, since the tables of this folder make thousands. */
export function ask(app: Express, path: string, method: Method = 'get', cookie = ''): Promise<Answer> {
  const req = Object.assign(new IncomingMessage(new Socket()), {
    method: method.toUpperCase(),
    url: path,
    headers: { cookie, host: 'localhost' },
  });
  const res = new ServerResponse(req);
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    res.end = (body?: unknown) => {
      const text = method === 'head' ? String(res.statusCode) : String(body ?? '');
      if (isAnswered) reject(new Error(`answered a second time: ${text}`));
      isAnswered = true;
      resolve({ status: res.statusCode, text });
      return res;
    };
    app(req as never, res as never, (error?: unknown) => reject(error ?? new Error('no handler answered')));
  });
}
