import { connect } from 'node:net';
import { request } from 'undici';

export const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
export const ECID = '20265673158980419722735089753036633573';
export const OTHER_ECID = '91563127448770346027793623225009407783';

export interface Received {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: these tests check the answers themselves
  json: any;
}

export interface Sending {
  host?: string;
  method?: 'GET' | 'POST' | 'PUT';
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

/** Sends one request as a server-to-server client does: the alias in `Host`, the origin in the URL. */
export async function send(
  url: string,
  { host = 'acme.demdex.net', headers, ...rest }: Sending = {},
): Promise<Received> {
  const response = await request(url, { ...rest, headers: { ...headers, host } });
  const text = await response.body.text();
  const isJson = String(response.headers['content-type']).startsWith('application/json');
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson && text ? JSON.parse(text) : undefined,
  };
}

/** An `/event` call for a JSON answer. */
export function event(origin: string, parameters: string, sending?: Sending): Promise<Received> {
  return send(`${origin}/event?d_rtbd=json&${parameters}`, sending);
}

export function codesOf({ json }: Received): number[] {
  return (json.errors ?? []).map(({ code }: { code: number }) => code);
}

/** Writes bytes to an origin and reads until it closes the connection. */
export function sendRaw(origin: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(bytes));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}
