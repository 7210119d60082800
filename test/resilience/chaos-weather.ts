/**
 * Owns: the faults of the chaos suite. Each spell of weather gives every origin some faults of a weighted mix or none, or takes one
 * or all of them down.
 */
import type { DcsSimulator, Fault } from 'express-aam-segments/testing';

type Origin = number | 'alias';

export const ORIGINS: readonly Origin[] = [3, 4, 6, 7, 8, 9, 11, 12, 'alias'];

const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
/** A segment without visitors: serving it is always wrong. */
const LIE = '{"uuid":"1","stuff":[],"segments":[666]}';

const body = (text: string | Uint8Array, headers?: Record<string, string>): Fault =>
  headers === undefined ? { kind: 'body', body: text } : { kind: 'body', body: text, headers };

/** Faults with their weights. */
const MIX: readonly (readonly [weight: number, fault: Fault])[] = [
  [4, { kind: 'latency', latencyMs: 60 }],
  [4, { kind: 'latency', latencyMs: 300 }],
  [3, { kind: 'hang' }],
  [4, { kind: 'reset' }],
  [3, { kind: 'status', status: 500, body: LIE }],
  [3, { kind: 'status', status: 503 }],
  [2, { kind: 'status', status: 302, headers: { Location: '/event?d_rtbd=json&d_jsonv=1' }, body: LIE }],
  [1, { kind: 'status', status: 429 }],
  [3, { kind: 'truncate' }],
  [2, { kind: 'huge', bytes: 1_000_000 }],
  [1, { kind: 'huge', bytes: 64_000_000 }],
  [3, { kind: 'malformed' }],
  [2, { kind: 'drip', intervalMs: 20 }],
  [1, body('<!doctype html><title>Proxy</title>', { 'Content-Type': 'text/html' })],
  [1, body('null')],
  [1, body('[]')],
  [1, body(deep)],
  [1, body('{"__proto__":{"segments":[666],"uuid":"1"}}')],
  [1, body(`demdexRequestCallback(${LIE})`, { 'Content-Type': 'text/javascript' })],
  [
    1,
    body(Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64'), {
      'Content-Type': 'image/gif',
    }),
  ],
  [1, body('')],
  [1, body('{"uuid":7,"segments":"666","stuff":{"cn":"aam"},"tid":[],"dcs_region":"nine"}')],
  [1, body(LIE, { 'Content-Encoding': 'gzip' })],
];
const TOTAL = MIX.reduce((sum, [weight]) => sum + weight, 0);

/** Reproducible random numbers from 0 to 1 (Park and Miller's generator). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function drawn(random: () => number): Fault {
  let left = random() * TOTAL;
  for (const [weight, fault] of MIX) {
    left -= weight;
    if (left < 0) return fault;
  }
  return { kind: 'hang' };
}

/** Sets the faults of the nth spell. */
export function setWeather(simulator: DcsSimulator, n: number, random: () => number): void {
  // Some spells are outages: of a region, of all origins, by rate limiting; others have no fault.
  switch (n % 40) {
    case 10:
    case 11:
    case 12:
      simulator.fault({ kind: 'reset' }, { region: 9 });
      return;
    case 20:
    case 21:
    case 22:
      simulator.fault({ kind: 'hang' });
      return;
    case 30:
    case 31:
      simulator.fault({ kind: 'status', status: 429, headers: { 'Retry-After': '1' } }, { region: 7 });
      return;
    case 23:
    case 32:
      return;
  }
  for (const region of ORIGINS) {
    const faults = Math.floor(random() * 4);
    for (let m = 0; m < faults; m++) {
      simulator.fault(drawn(random), { region, calls: 1 + Math.floor(random() * 4) });
    }
  }
}
