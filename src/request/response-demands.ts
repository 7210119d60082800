/**
 * Owns: what the headers of a response must have when they leave, besides being private. It is kept on the response, where each
 * instance of the middleware finds it. Next: response-privacy.ts.
 */
import type { ServerResponse } from 'node:http';
import { ownerOf, type RespondingStream } from './last-word';

export interface Demands {
  /** Whether no cache may store it, not even the browser's. */
  isUnstored: boolean;
  /** `Set-Cookie` headers. */
  readonly cookies: string[];
}

const DEMANDS = Symbol('express-aam-segments: demands');

interface Carrier {
  [DEMANDS]?: Demands;
}

/** What is demanded of a response, to be added to. */
export function demandsOn(res: ServerResponse): Demands {
  const carrier = streamOf(res) ?? (ownerOf(res) as Carrier);
  carrier[DEMANDS] ??= { isUnstored: false, cookies: [] };
  return carrier[DEMANDS];
}

/** The same, also by an object that was made of the response; `undefined` if nothing is. */
export function demandsOf(res: ServerResponse): Demands | undefined {
  return (streamOf(res) ?? (res as Carrier))[DEMANDS];
}

/** Over HTTP/2, what the headers leave by. */
function streamOf(res: ServerResponse): (RespondingStream & Carrier) | undefined {
  const { stream } = res as { stream?: RespondingStream & Carrier };
  return typeof stream?.respond === 'function' ? stream : undefined;
}
