import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { clearInterval, setInterval } from 'node:timers';
import type { DcsAnswer } from './dcs-answer';
import type { AnswerFault } from './faults';

/** Sends the answer, or what a fault makes of it. All timers and streams end when the response closes. */
export function sendAnswer(response: ServerResponse, answer: DcsAnswer, fault: AnswerFault | undefined): void {
  switch (fault?.kind) {
    case undefined:
      sendWhole(response, answer);
      break;
    case 'hang':
      break;
    case 'reset':
      response.req.socket.resetAndDestroy();
      break;
    case 'status':
      sendWhole(response, { status: fault.status, headers: fault.headers ?? {}, body: Buffer.from(fault.body ?? '') });
      break;
    case 'body':
      sendWhole(response, json(fault.body, fault.headers));
      break;
    case 'malformed':
      sendWhole(response, json('{"stuff":[],"uuid":"'));
      break;
    case 'truncate':
      sendHalf(response, answer);
      break;
    case 'huge':
      sendHuge(response, fault.bytes);
      break;
    case 'drip':
      sendByteByByte(response, answer, fault.intervalMs);
      break;
  }
}

function json(body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): DcsAnswer {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json;charset=utf-8', ...headers },
    body: Buffer.from(body),
  };
}

function startAnswer(response: ServerResponse, { status, headers }: DcsAnswer, contentLength?: number): void {
  response.statusCode = status;
  if (contentLength !== undefined) response.setHeader('Content-Length', contentLength);
  // The fault's own headers come last, so that a test can send a wrong length.
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

function sendWhole(response: ServerResponse, answer: DcsAnswer): void {
  startAnswer(response, answer, answer.body.length);
  response.end(answer.body);
}

function sendHalf(response: ServerResponse, answer: DcsAnswer): void {
  startAnswer(response, answer, answer.body.length + 1);
  response.flushHeaders();
  response.write(answer.body.subarray(0, answer.body.length / 2));
  response.req.socket.destroySoon();
}

function sendHuge(response: ServerResponse, bytes: number): void {
  startAnswer(response, json(''));
  Readable.from(hugeJson(bytes)).pipe(response);
}

function* hugeJson(bytes: number): Generator<Buffer> {
  const [start, end] = ['{"stuff":[],"padding":"', '"}'];
  const block = Buffer.alloc(64 * 1024, 'x');
  yield Buffer.from(start);
  for (let left = bytes - start.length - end.length; left > 0; left -= block.length) yield block.subarray(0, left);
  yield Buffer.from(end);
}

function sendByteByByte(response: ServerResponse, answer: DcsAnswer, intervalMs: number): void {
  startAnswer(response, answer, answer.body.length);
  response.flushHeaders();
  let sent = 0;
  const timer = setInterval(() => {
    const byte = answer.body.subarray(sent, ++sent);
    // The last byte must end the response: the client then has the whole answer.
    if (sent < answer.body.length) response.write(byte);
    else response.end(byte);
  }, intervalMs);
  response.once('close', () => clearInterval(timer));
}
