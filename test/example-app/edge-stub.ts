import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';

/** The ECID of every new browser. */
export interface EdgeVisitor {
  readonly ecid: string;
  /** The value of the `identity` cookie. */
  readonly identity: string;
  /** The Edge location that answered. */
  readonly cluster: string;
}

export interface EdgeRequest {
  readonly action: string;
  /** The Edge location in the path, from an earlier answer. */
  readonly cluster: string | undefined;
  readonly datastreamId: string | null;
  /** The SDK's cookies, which it sends in the body to a third-party domain. */
  readonly cookies: Readonly<Record<string, string>>;
  /** What `setConsent` was called with. */
  readonly consent: unknown;
}

interface Handle {
  readonly type: string;
  readonly payload: readonly object[];
}

interface StoredCookie {
  readonly key: string;
  readonly value: string;
}

const fixture = (name: string) => readFileSync(path.join(__dirname, '..', 'dcs', 'fixtures', name));

/**
 * Adobe's Edge Network as the Web SDK sees it: an HTTPS server on loopback. It answers events and consent with the
 * cookies to write, as a third-party domain does. Its certificate is for no domain of Adobe's.
 */
export class EdgeStub {
  readonly requests: EdgeRequest[] = [];
  /** Whether all requests fail. */
  isBroken = false;
  readonly #server: Server;
  readonly #orgId: string;
  readonly #visitor: EdgeVisitor;

  constructor(orgId: string, visitor: EdgeVisitor) {
    this.#orgId = orgId;
    this.#visitor = visitor;
    const tls = { cert: fixture('localhost.pem'), key: fixture('localhost-key.pem') };
    this.#server = createServer(tls, async (req, res) => {
      const { pathname, searchParams } = new URL(req.url ?? '', 'https://edge.test');
      const [, cluster, action = pathname] = /^\/ee(?:\/(\w+))?\/v1\/(.+)$/.exec(pathname) ?? [];
      const { meta, consent } = JSON.parse((await text(req)) || '{}');
      const entries: readonly StoredCookie[] = meta?.state?.entries ?? [];
      const cookies = Object.fromEntries(entries.map(({ key, value }) => [key, value]));
      this.requests.push({ action, cluster, datastreamId: searchParams.get('configId'), cookies, consent });
      const handle = this.isBroken ? undefined : this.#answer(action, consent);
      res.writeHead(handle === undefined ? 500 : 200, {
        'Content-Type': 'application/json;charset=utf-8',
        'Access-Control-Allow-Origin': req.headers.origin,
        'Access-Control-Allow-Credentials': 'true',
      });
      res.end(JSON.stringify({ requestId: searchParams.get('requestId'), handle }));
    });
  }

  /** Resolves to its host and port. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #answer(action: string, consent: unknown): readonly Handle[] | undefined {
    const { ecid, identity, cluster } = this.#visitor;
    const cookies = [this.#cookie('identity', identity, 34_128_000), this.#cookie('cluster', cluster, 1_800)];
    if (action === 'privacy/set-consent') {
      const [{ value }] = consent as [{ value: { general: 'in' | 'out' } }];
      cookies.push(this.#cookie('consent', `general=${value.general}`, 15_552_000));
    } else if (action !== 'interact') {
      return undefined;
    }
    return [
      { type: 'identity:result', payload: [{ id: ecid, namespace: { code: 'ECID' } }] },
      { type: 'locationHint:result', payload: [{ scope: 'EdgeNetwork', hint: cluster, ttlSeconds: 1_800 }] },
      { type: 'state:store', payload: cookies },
    ];
  }

  #cookie(key: string, value: string, maxAge: number) {
    return { key: `kndctr_${this.#orgId.replace('@', '_')}_${key}`, value, maxAge };
  }
}
