/**
 * Owns: what is needed of the clients `redis` 5 and 6 and `ioredis` 5 and 6, and where they differ. Next: redis-store.ts.
 *
 * A client is the site's: it is neither connected nor configured nor closed here. What is ours is a duplicate of it that
 * listens to channels.
 */
import type { StoreFailure, StoreListener } from '../shared-tier/shared-store';

/** A client of `redis` 5 or 6, as `createClient()` makes it. */
export interface NodeRedisClient {
  readonly isReady: boolean;
  sendCommand(args: string[]): Promise<unknown>;
  duplicate(): NodeRedisClient;
  connect(): Promise<unknown>;
  subscribe(channels: string[], listener: (message: string) => void): Promise<unknown>;
  destroy(): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of their own events, whatever those are.
  on(event: string, listener: (...args: any[]) => void): unknown;
  listenerCount(event: string): number;
}

/** A client of `ioredis` 5 or 6, as `new Redis()` makes it. */
export interface IoredisClient {
  readonly status: string;
  readonly options: { readonly enableOfflineQueue?: boolean | undefined };
  call(command: string, ...args: string[]): Promise<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: the options of both versions.
  duplicate(override?: any): IoredisClient;
  subscribe(...channels: string[]): Promise<unknown>;
  disconnect(): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of their own events, whatever those are.
  on(event: any, listener: (...args: any[]) => void): unknown;
  listenerCount(event: string): number;
}

/** A client of the site, whichever it is. */
export interface Connection {
  readonly isReady: boolean;
  /** Whether commands would wait in the client while it is not connected. */
  readonly queuesOffline: boolean;
  readonly hasErrorListener: boolean;
  send(command: readonly string[]): Promise<unknown>;
  /** A connection of our own that listens to channels until the returned function ends it. */
  listen(channels: readonly string[], listener: StoreListener): () => void;
}

/** A listening connection that its client has given up is made anew after so long. */
const RETRY_MS = 1_000;

/** `undefined` for what is neither. */
export function connectionOf(client: unknown): Connection | undefined {
  if (typeof client !== 'object' || client === null) return undefined;
  if (isIoredis(client)) return new IoredisConnection(client);
  return isNodeRedis(client) ? new NodeRedisConnection(client) : undefined;
}

/** A cluster, or sentinels of `redis`: they take other arguments. */
export function isManyServers(client: unknown): boolean {
  if (typeof client !== 'object' || client === null) return false;
  const { isCluster, masters, getMasterNode } = client as Record<string, unknown>;
  return isCluster === true || masters !== undefined || getMasterNode !== undefined;
}

function isIoredis(client: object): client is IoredisClient {
  const { status, call, duplicate } = client as Partial<IoredisClient>;
  return typeof status === 'string' && typeof call === 'function' && typeof duplicate === 'function';
}

function isNodeRedis(client: object): client is NodeRedisClient {
  const { isReady, sendCommand, duplicate } = client as Partial<NodeRedisClient>;
  return typeof isReady === 'boolean' && typeof sendCommand === 'function' && typeof duplicate === 'function';
}

class NodeRedisConnection implements Connection {
  readonly #client: NodeRedisClient;

  constructor(client: NodeRedisClient) {
    this.#client = client;
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  get queuesOffline(): boolean {
    const { options } = this.#client as { options?: { disableOfflineQueue?: unknown } };
    return options?.disableOfflineQueue !== true;
  }

  get hasErrorListener(): boolean {
    return this.#client.listenerCount('error') > 0;
  }

  send(command: readonly string[]): Promise<unknown> {
    return this.#client.sendCommand([...command]);
  }

  listen(channels: readonly string[], listener: StoreListener): () => void {
    return keepListening(listener, (gone) => {
      const client = this.#client.duplicate();
      let isSubscribed = false;
      // Without a listener an error would end the process.
      client.on('error', () => listener.lost());
      client.on('reconnecting', () => listener.lost());
      client.on('end', gone);
      // It subscribes again by itself before it is ready again.
      client.on('ready', () => isSubscribed && listener.listening());
      client
        .connect()
        .then(() => client.subscribe([...channels], (message) => listener.message(message)))
        .then(() => {
          isSubscribed = true;
          listener.listening();
        }, gone);
      return () => client.destroy();
    });
  }
}

class IoredisConnection implements Connection {
  readonly #client: IoredisClient;

  constructor(client: IoredisClient) {
    this.#client = client;
  }

  get isReady(): boolean {
    return this.#client.status === 'ready';
  }

  get queuesOffline(): boolean {
    return this.#client.options.enableOfflineQueue !== false;
  }

  get hasErrorListener(): boolean {
    return this.#client.listenerCount('error') > 0;
  }

  send([command, ...args]: readonly string[]): Promise<unknown> {
    return this.#client.call(command as string, ...args);
  }

  listen(channels: readonly string[], listener: StoreListener): () => void {
    return keepListening(listener, (gone) => {
      const client = this.#client.duplicate({ lazyConnect: false, autoResubscribe: false, keyPrefix: '' });
      client.on('error', () => listener.lost());
      client.on('close', () => listener.lost());
      client.on('end', gone);
      client.on('message', (_channel, message: string) => listener.message(message));
      client.on('ready', () => {
        client.subscribe(...channels).then(
          () => listener.listening(),
          // Refused, or cut off: in either case once more, from the beginning.
          () => client.disconnect(),
        );
      });
      return () => client.disconnect();
    });
  }
}

/**
 * Opens a listening connection, and another one whenever its client has given it up.
 * @param open returns how to end it; calls back when it is gone
 */
function keepListening(listener: StoreListener, open: (gone: () => void) => () => unknown): () => void {
  let isClosed = false;
  let end: () => unknown = () => {};
  let retry: NodeJS.Timeout | undefined;
  const start = () => {
    let isGone = false;
    const gone = () => {
      if (isGone || isClosed) return;
      isGone = true;
      listener.lost();
      quietly(end);
      retry = setTimeout(start, RETRY_MS).unref();
    };
    end = open(gone);
  };
  start();
  return () => {
    isClosed = true;
    clearTimeout(retry);
    quietly(end);
  };
}

/** What is closed already may say so by throwing. */
function quietly(end: () => unknown): void {
  try {
    end();
  } catch {}
}

const FAILURE_BY_CODE: Readonly<Record<string, StoreFailure>> = {
  READONLY: 'read-only',
  LOADING: 'loading',
  MASTERDOWN: 'cluster-down',
  CLUSTERDOWN: 'cluster-down',
  OOM: 'out-of-memory',
};

/** By the first word of a reply; what is not one came from the client, which is not connected. */
export function failureOf(error: unknown): StoreFailure {
  const message = error instanceof Error ? error.message.slice(0, 300) : '';
  // From within a script the code may stand in the middle.
  const [code] = message.match(/\b(?:READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|OOM)\b/) ?? [];
  if (code !== undefined) return FAILURE_BY_CODE[code] as StoreFailure;
  return /^[A-Z]{2,}\b/.test(message) ? 'other' : 'disconnected';
}
