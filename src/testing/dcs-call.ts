import type { IncomingMessage } from 'node:http';
import { performance } from 'node:perf_hooks';
import { isDeviceId } from './assertions';
import { type CustomerId, customerIdsOf } from './customer-ids';
import type { DcsError } from './dcs-errors';
import { type DcsParams, firstValue, paramsFrom } from './dcs-params';

/** An HTTP request as it arrived. */
export interface DcsCall {
  readonly at: number;
  readonly method: string;
  /** The request target as sent, still encoded. */
  readonly url: string;
  readonly path: string;
  readonly host: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string | undefined;
  /** Size of head and body on the wire. */
  readonly bytes: number;
  /** Empty if `wellEncoded` is false: the DCS then ignores the entire request (AAM docs, DCS error codes, 311). */
  readonly params: DcsParams;
  readonly wellEncoded: boolean;
  readonly customerIds: readonly CustomerId[];
  readonly customerIdWarnings: readonly DcsError[];
}

/** More than a DCS takes, so that what is longer is refused; it is read to its end and not kept. */
const MAX_KEPT_BYTES = 64 * 1024;

/** Reads a request to its end; `undefined` if the client disconnects before. */
export async function readCall(request: IncomingMessage): Promise<DcsCall | undefined> {
  const at = performance.now();
  const chunks: Buffer[] = [];
  let bodyBytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bodyBytes += chunk.length;
      if (bodyBytes <= MAX_KEPT_BYTES) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch {
    return undefined;
  }
  const { method = '', url = '', headers } = request;
  const queryAt = url.includes('?') ? url.indexOf('?') : url.length;
  const body = Buffer.concat(chunks);
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '');
  const params = paramsFrom([url.slice(queryAt + 1), isForm ? body.toString('latin1') : '']);
  return {
    at,
    method,
    url,
    path: url.slice(0, queryAt),
    host: headers.host,
    headers,
    body: body.length > 0 ? body.toString() : undefined,
    bytes: headBytes(request) + bodyBytes,
    params: params ?? {},
    wellEncoded: params !== undefined,
    ...customerIdsOf(params ?? {}),
  };
}

/** The device id of a call: a valid `d_mid`, else a valid `d_uuid`. */
export function deviceIdOf(params: DcsParams): string | undefined {
  return ['d_mid', 'd_uuid'].map((name) => firstValue(params, name)).find(isDeviceId);
}

function headBytes(request: IncomingMessage): number {
  const requestLine = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`;
  // Each name is followed by ": " and each value by CRLF; an empty line ends the head.
  return request.rawHeaders.reduce((bytes, part) => bytes + part.length + 2, requestLine.length + 2);
}
