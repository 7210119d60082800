/** Owns: `aam-segments doctor`: one call to the alias, a connection to each region, and advice. Next: ../dcs/dcs-calls.ts. */
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createDcs } from '../dcs/dcs-calls';
import type { CallResult } from '../dcs/flow/call';
import { DcsError, type DcsFailure } from '../dcs/protocol/dcs-error';
import type { DcsReply } from '../dcs/protocol/reply';
import { OPTIONS } from '../diagnosis/option-names';
import { isVisitorId } from '../identity/visitor';
import { group } from '../option-checks';
import {
  type DcsClientOptions,
  type ResolvedClientOptions,
  resolvedClientOptions,
} from '../options/dcs-client-options';
import { ACCOUNT_OPTIONS, ACCOUNT_SECTION, accountOf, PROXY_SECTION } from './account';
import { defineCommand, EXIT, UsageError } from './command';
import type { Finding } from './finding';
import { print, printJson } from './printer';
import { type Dispatched, throughProxy, watchingProxy } from './proxy';
import { checkRedis } from './redis-checks';

/** The file of --config has its options. */
const TAKER = 'createDcsClient()';

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'check that this machine can query Audience Manager',
  synopsis: '[options]',
  description: `Checks whether this machine can query Audience Manager, and says how to fix what is wrong. It makes one call to the alias, and
opens a connection to each region without a call.`,
  operands: [],
  options: {
    ecid: {
      type: 'string',
      value: '<id>',
      help: "the visitor to ask about, such as the ECID in your own browser's AMCV cookie (default: a random one)",
    },
    redis: {
      type: 'string',
      value: '<url>',
      help: 'also check a Redis or Valkey server, such as redis://localhost:6379, for the option cache.shared',
    },
    ...ACCOUNT_OPTIONS,
  },
  sections: [ACCOUNT_SECTION, PROXY_SECTION],
  failure: 'a check failed',
  examples: ['--ecid 20265673158980419722735089753036633573', '--redis redis://localhost:6379'],
  async run({ values, env, stdout }) {
    const { ecid, redis, json, quiet } = values;
    if (ecid !== undefined && !isVisitorId(ecid)) throw new UsageError('--ecid must be 38 digits');
    const account = accountOf(values, env);
    const dispatched = throughProxy(account.options, env);
    const options = account.checked(() =>
      resolvedClientOptions(group<DcsClientOptions>('options', dispatched.options, OPTIONS[TAKER], TAKER), TAKER),
    );
    try {
      const settings: Finding = { check: 'settings', state: 'ok', found: account.sources };
      const { result, usedProxy } = await watchingProxy(() => checkAlias(options, ecid));
      const regions = await checkRegions(options, dispatched);
      const isReached = result[0]?.state === 'ok';
      const store = redis === undefined ? [] : await checkRedis(redis);
      const findings = [settings, wayOf(dispatched, usedProxy, isReached), ...result, ...regions, ...store];
      const isWell = findings.every(({ state }) => state !== 'FAIL');
      if (json && !quiet) printJson(stdout, { isWell, findings });
      else if (!quiet) {
        for (const { check, state, found, advice } of findings) {
          print(stdout, `${state.padEnd(7)}${check.padEnd(15)}${found}`);
          if (advice !== undefined) print(stdout, `${''.padEnd(22)}${advice}`);
        }
      }
      return isWell ? EXIT.ok : EXIT.failed;
    } finally {
      await dispatched.close();
    }
  },
});

/** Which way the call to the alias went. */
function wayOf({ proxy }: Dispatched, usedProxy: boolean, isReached: boolean): Finding {
  const check = 'way';
  if (proxy === undefined)
    return { check, state: 'ok', found: 'calls go directly: no proxy in HTTPS_PROXY or HTTP_PROXY' };
  if (usedProxy) return { check, state: 'ok', found: `calls go through the proxy ${proxy}` };
  if (isReached) return { check, state: 'ok', found: `calls go past the proxy ${proxy}: NO_PROXY lists the host` };
  return { check, state: 'unsure', found: `no connection, neither through the proxy ${proxy} nor past it` };
}

/** One call to the alias: its answer shows whether the account is set up. */
async function checkAlias(options: ResolvedClientOptions, ecid: string | undefined): Promise<Finding[]> {
  const dcs = createDcs({ ...options.dcs, noDataCooldownMs: 0 });
  const visitor = { ecid: ecid ?? randomEcid() };
  const question = { visitor, tcString: undefined, variant: '', signals: '' };
  try {
    const result = await new Promise<CallResult>((ended) => {
      dcs.lookup(visitor.ecid, question, { began: () => {}, ended });
    });
    if ('reply' in result) return findingsOf(options, result.reply.errors, result.reply, ecid !== undefined);
    const { failure } = result as { readonly failure: DcsFailure };
    const { origin } = options.dcs.regions.originOf(undefined);
    if (failure.dcsCode === undefined) return [unreachable(origin, DcsError.from(failure))];
    return findingsOf(options, [failure.dcsCode], undefined, ecid !== undefined);
  } finally {
    await dcs.close();
  }
}

function findingsOf(
  { orgId, dcs }: ResolvedClientOptions,
  codes: readonly number[],
  reply: DcsReply | undefined,
  isRealVisitor: boolean,
): Finding[] {
  const has = (...wanted: readonly number[]) => codes.some((code) => wanted.includes(code));
  const reached: Finding = { check: 'DCS', state: 'ok', found: `${dcs.regions.originOf(undefined).origin} answers` };
  if (has(1, 100)) {
    const advice = "Ask Adobe for your company's alias, the part before .demdex.net in the host of its calls.";
    return [
      reached,
      { check: 'alias', state: 'FAIL', found: `${dcs.partnerHost} is unknown (error ${codes.join(', ')})`, advice },
    ];
  }
  const alias: Finding = { check: 'alias', state: 'ok', found: `${dcs.partnerHost} is known` };
  if (has(198, 199)) {
    const advice =
      "Calls from this country, by this server's IP address, are blocked. Call from another country, or ask Adobe.";
    return [reached, alias, { check: 'country', state: 'FAIL', found: `refused (error ${codes.join(', ')})`, advice }];
  }
  const country: Finding = { check: 'country', state: 'ok', found: 'calls from this server are accepted' };
  if (has(2)) {
    const advice = "Take the id from the name of your site's AMCV_ cookie, or from the Admin Console.";
    return [
      reached,
      alias,
      country,
      { check: 'organisation', state: 'FAIL', found: `${orgId} is unknown (error 2)`, advice },
    ];
  }
  const organisation: Finding = { check: 'organisation', state: 'ok', found: `${orgId} is known` };
  return [reached, alias, country, organisation, ...segmentIds(dcs.segmentIds !== false, codes, reply, isRealVisitor)];
}

function segmentIds(
  isWanted: boolean,
  codes: readonly number[],
  reply: DcsReply | undefined,
  isReal: boolean,
): Finding[] {
  const check = 'segment ids';
  if (!isWanted) return [{ check, state: 'ok', found: 'not requested: dcs.segmentIds is false' }];
  if (reply?.hasSegmentIds)
    return [{ check, state: 'ok', found: `enabled: the answer has ${reply.segments.length} of them` }];
  if (reply === undefined || !isReal) {
    const found = codes.length === 0 ? 'the DCS has no profile of a random visitor' : `error ${codes.join(', ')}`;
    const advice = "Use --ecid with your own ECID: the digits after MCMID| in your browser's AMCV_ cookie.";
    return [{ check, state: 'unsure', found, advice }];
  }
  const advice =
    'Ask Adobe to enable d_cts for the account, or map segments to a cookie destination and set dcs.segmentIds to false.';
  return [{ check, state: 'FAIL', found: 'the answer has no list of segment ids', advice }];
}

function unreachable(origin: string, { code, message }: DcsError): Finding {
  const advice = 'Check for a firewall, a proxy (set HTTPS_PROXY) or a DNS filter that blocks demdex.net as a tracker.';
  return { check: 'DCS', state: 'FAIL', found: `${origin}: ${code}, ${message}`, advice };
}

const CONNECTS = 3;
const CONNECT_TIMEOUT_MS = 3_000;

/** The time to connect to each region, about one round trip. The nearest comes first. */
async function checkRegions({ dcs }: ResolvedClientOptions, { agent }: Dispatched): Promise<Finding[]> {
  const origins = dcs.regions.entries();
  const found = await Promise.all(
    origins.map(async ([region, origin]): Promise<Finding & { tookMs: number }> => {
      const check = `region ${region}`;
      const took: number[] = [];
      try {
        for (let n = 0; n < CONNECTS; n++)
          took.push(await (agent === undefined ? connectMs(origin) : dispatchMs(agent, origin)));
        const tookMs = Math.min(...took);
        return { check, state: 'ok', found: `${tookMs.toFixed(tookMs < 10 ? 1 : 0)} ms to ${origin.host}`, tookMs };
      } catch (error) {
        const { code = 'no connection in time' } = error as NodeJS.ErrnoException;
        const advice = 'Calls for its visitors go to the alias instead, unless dcs.failover is false.';
        return { check, state: 'FAIL', found: `${origin.host}: ${code}`, advice, tookMs: Number.POSITIVE_INFINITY };
      }
    }),
  );
  return found.sort((a, b) => a.tookMs - b.tookMs).map(({ tookMs, ...finding }) => finding);
}

function connectMs({ hostname, port, protocol }: URL): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAtMs = performance.now();
    const socket = connect({ host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('timeout')));
    socket.once('error', reject);
    socket.once('connect', () => {
      resolve(performance.now() - startedAtMs);
      socket.destroy();
    });
  });
}

/** By an agent that may use a proxy: a request that is given up when it could be sent. */
function dispatchMs(agent: NonNullable<Dispatched['agent']>, origin: URL): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAtMs = performance.now();
    const timer = setTimeout(() => reject(new Error('timeout')), CONNECT_TIMEOUT_MS);
    agent.dispatch(
      { origin, path: '/', method: 'HEAD' },
      {
        onRequestStart(controller) {
          clearTimeout(timer);
          resolve(performance.now() - startedAtMs);
          controller.abort(new Error('connected'));
        },
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd() {},
        onResponseError(_controller, error) {
          clearTimeout(timer);
          reject(error);
        },
      },
    );
  });
}

/** A new one each time, since an id that all checks used would be denylisted. */
function randomEcid(): string {
  return Array.from({ length: 38 }, (_, at) => (at === 0 ? randomInt(1, 9) : randomInt(10))).join('');
}
