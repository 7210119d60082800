/** Shared by all alternatives: reading the visitor and making a call. */
import type { Request } from 'express';
import { request } from 'undici';
import { ORG } from '../visitors';

export interface DcsOrigins {
  readonly origins: Readonly<Record<number, string>>;
  readonly defaultOrigin: string;
}

export interface Visitor {
  readonly ecid: string;
  readonly region: number;
}

/** Only reads the cookies of these measurements. */
export function visitorOf(req: Request): Visitor | undefined {
  const [, ecid, region] = /MCMID%7C(\d{38})%7CMCAAMLH-\d+%7C(\d+)/.exec(req.headers.cookie ?? '') ?? [];
  return ecid === undefined ? undefined : { ecid, region: Number(region) };
}

const TIMEOUT_MS = 1_000;

/** By undici's request(), since the global fetch() silently drops the Host header that selects the partner. */
export async function callDcs(dcs: DcsOrigins, { ecid, region }: Visitor, signal?: AbortSignal): Promise<string[]> {
  const origin = dcs.origins[region] ?? dcs.defaultOrigin;
  const path = `/event?d_rtbd=json&d_jsonv=1&d_mid=${ecid}&d_orgid=${encodeURIComponent(ORG)}&d_cts=2`;
  const controller = new AbortController();
  const abort = () => controller.abort();
  signal?.addEventListener('abort', abort, { once: true });
  const timer = setTimeout(abort, TIMEOUT_MS);
  try {
    const answer = await request(origin + path, {
      headers: { host: 'acme.demdex.net' },
      signal: controller.signal,
    });
    const { statusCode, body } = answer;
    if (statusCode !== 200) {
      await body.dump();
      throw new Error(`HTTP ${statusCode}`);
    }
    const { segments } = (await body.json()) as { segments?: number[] };
    return (segments ?? []).map(String);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
