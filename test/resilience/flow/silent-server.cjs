/**
 * Runs in its own process: listens on the addresses given, and never accepts a connection. Once its backlog is full, attempts
 * to connect to it get no answer.
 */
const { createServer } = require('node:net');

const [port, ...hosts] = process.argv.slice(2);
let left = hosts.length;
for (const host of hosts) {
  createServer().listen({ port: Number(port), host, backlog: 1 }, () => {
    if (--left > 0) return;
    process.send('listening', () => {
      // This thread does nothing more, so nothing is accepted.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
  });
}
