/**
 * Requests of an Express app that wait before the first middleware, for calling that alone: the objects are those that Node's
 * parser and Express make, with header strings of their own. They come through a stream in memory instead of a socket.
 */
import { createServer, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import express, { type Request, type Response } from 'express';

export interface Parked {
  readonly req: Request;
  readonly res: Response;
}

export class ParkingLot {
  readonly #server: Server;
  #parked: Parked[] = [];
  #socket = new Duplex();

  constructor() {
    const app = express();
    app.use((req, res) => {
      // Node makes the headers when they are first looked at: that is not the middleware's time.
      if (req.headers.host !== undefined) this.#parked.push({ req, res });
    });
    this.#server = createServer(app);
  }

  /** Sends requests with these headers, and resolves with them when all are parked. Ends those before them. */
  async park(requests: readonly Readonly<Record<string, string>>[]): Promise<readonly Parked[]> {
    await this.leave();
    this.#socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    this.#server.emit('connection', this.#socket);
    for (const headers of requests) this.#socket.push(requestText(headers), 'latin1');
    while (this.#parked.length < requests.length) await new Promise(setImmediate);
    return this.#parked;
  }

  /** Ends the requests, and forgets them. */
  async leave(): Promise<void> {
    this.#parked = [];
    this.#socket.destroy();
    await new Promise(setImmediate);
  }
}

function requestText(headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET / HTTP/1.1\r\n${lines.join('')}\r\n`;
}
