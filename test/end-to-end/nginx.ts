/** An nginx that caches everything it may, in front of a site. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NGINX = '/usr/sbin/nginx';
const isSkipped = !process.env.CI && !existsSync(NGINX);
if (isSkipped) console.warn(`${NGINX} is missing: shared caches are not tried`);
export const describeBehindNginx = isSkipped ? describe.skip : describe;

export interface Nginx {
  /** `cache`: what nginx says about it, such as `HIT`. */
  get(path: string, cookie: string): Promise<{ status: number; text: string; cache: string }>;
  stop(): Promise<void>;
}

/** In front of the site at this port. */
export async function startNginx(upstreamPort: number): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  const port = await freePort();
  writeFileSync(join(folder, 'nginx.conf'), configOf(folder, port, upstreamPort));
  const child = spawn(NGINX, ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log')], {
    stdio: 'inherit',
  });
  const get: Nginx['get'] = (path, cookie) => visit(port, path, cookie);
  await reached(child, () => get('/style.css', ''));
  return {
    get,
    async stop() {
      child.kill('SIGQUIT');
      await once(child, 'exit');
      rmSync(folder, { recursive: true });
    },
  };
}

/** As sites set up a cache for all pages: what the page does not forbid is kept for ten minutes. */
const configOf = (folder: string, port: number, upstreamPort: number) => `
daemon off;
master_process off;
pid ${folder}/pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache keys_zone=pages:1m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstreamPort};
      proxy_cache pages;
      proxy_cache_valid any 10m;
      add_header X-Cache $upstream_cache_status always;
    }
  }
}
`;

function visit(port: number, path: string, cookie: string): ReturnType<Nginx['get']> {
  return new Promise((resolve, reject) => {
    const headers = { cookie, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
    request({ host: '127.0.0.1', port, path, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      answer.on('end', () =>
        resolve({ status: answer.statusCode as number, text, cache: String(answer.headers['x-cache']) }),
      );
    })
      .on('error', reject)
      .end();
  });
}

/** Resolves when it answers. It does not say when it listens. */
async function reached(child: ChildProcess, attempt: () => Promise<unknown>): Promise<void> {
  while (child.exitCode === null) {
    try {
      await attempt();
      return;
    } catch {
      await new Promise(setImmediate);
    }
  }
  throw new Error(`nginx has ended with ${child.exitCode}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
