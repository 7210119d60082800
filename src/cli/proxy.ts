/** Owns: the way of calls through a proxy, as the environment says. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EnvHttpProxyAgent } from 'undici';
import type { DcsClientOptions } from '../options/dcs-client-options';
import { type Environment, UsageError } from './command';

export interface Dispatched {
  readonly options: DcsClientOptions;
  /** The agent that sends all calls, to the proxy or past it; `undefined` without a proxy in the environment. */
  readonly agent: EnvHttpProxyAgent | undefined;
  /** The proxy, without its password; `undefined` without one. */
  readonly proxy: string | undefined;
  close(): Promise<void>;
}

/** Without a proxy in the environment the options stay as they are. */
export function throughProxy(options: DcsClientOptions, env: Environment): Dispatched {
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY;
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  const proxy = httpsProxy || httpProxy;
  if (!proxy) return { options, agent: undefined, proxy: undefined, async close() {} };
  const noProxy = env.no_proxy ?? env.NO_PROXY ?? '';
  const agent = agentOf({ httpProxy: httpProxy ?? '', httpsProxy: httpsProxy ?? '', noProxy });
  return {
    options: { ...options, dcs: { ...options.dcs, dispatcher: agent } },
    agent,
    proxy: proxy.replace(/\/\/[^/]*@/, '//'),
    close: () => agent.destroy(),
  };
}

function agentOf(proxies: ConstructorParameters<typeof EnvHttpProxyAgent>[0]): EnvHttpProxyAgent {
  try {
    return new EnvHttpProxyAgent(proxies);
  } catch {
    throw new UsageError('HTTPS_PROXY and HTTP_PROXY must be URLs such as http://localhost:3128');
  }
}

/** Runs `call` and tells whether it opened a connection to a proxy. */
export async function watchingProxy<T>(call: () => Promise<T>): Promise<{ result: T; usedProxy: boolean }> {
  let usedProxy = false;
  const onConnected = () => {
    usedProxy = true;
  };
  subscribe('undici:proxy:connected', onConnected);
  try {
    return { result: await call(), usedProxy };
  } finally {
    unsubscribe('undici:proxy:connected', onConnected);
  }
}
