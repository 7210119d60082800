/**
 * What a DCS can answer, and what that means for the calls to come: written down here once more, by protocol and design, so
 * that the model does not ask the code that it tests.
 */
import type { DcsFailure } from '../../src/dcs/protocol/dcs-error';
import type { WireResult } from './fake-transport';

export const OUTCOMES = [
  'segments',
  'empty',
  'no-data',
  'code 0',
  'code 200',
  'code 171',
  'code 101',
  'code 172',
  'code 306',
  'code 300',
  'garbage',
  'http-status',
  'network',
  '429',
  '429 retry-after',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What an outcome means. */
export interface Meaning {
  readonly is: 'answer' | 'exclusion' | 'failure';
  /** Of an exclusion. */
  readonly reason?: 'opted-out' | 'invalid-id' | 'refused' | 'denylisted';
  readonly holdsForMs?: number;
  /** What it says about the server. */
  readonly health: 'success' | 'failure' | 'neutral';
  /** How long nobody may ask about the visitor. */
  readonly cooldown: 'none' | 'failure' | 'no-data';
}

const HOUR_MS = 3_600_000;
const ANSWER: Meaning = { is: 'answer', health: 'success', cooldown: 'none' };
const NO_DATA: Meaning = { is: 'failure', health: 'success', cooldown: 'no-data' };
const REJECTED: Meaning = { is: 'failure', health: 'success', cooldown: 'failure' };
const FAILURE: Meaning = { is: 'failure', health: 'failure', cooldown: 'failure' };
const RATE_LIMITED: Meaning = { is: 'failure', health: 'neutral', cooldown: 'none' };

const MEANINGS: Readonly<Record<Outcome | 'timeout' | 'closed', Meaning>> = {
  segments: ANSWER,
  empty: ANSWER,
  'code 300': ANSWER,
  'no-data': NO_DATA,
  'code 0': NO_DATA,
  'code 200': NO_DATA,
  'code 171': { ...ANSWER, is: 'exclusion', reason: 'opted-out', holdsForMs: 2 * HOUR_MS },
  'code 101': { ...ANSWER, is: 'exclusion', reason: 'invalid-id', holdsForMs: 6 * HOUR_MS },
  'code 172': { ...ANSWER, is: 'exclusion', reason: 'refused', holdsForMs: HOUR_MS },
  'code 306': { ...ANSWER, is: 'exclusion', reason: 'denylisted', holdsForMs: 24 * HOUR_MS },
  garbage: FAILURE,
  'http-status': FAILURE,
  network: FAILURE,
  timeout: FAILURE,
  '429': RATE_LIMITED,
  '429 retry-after': RATE_LIMITED,
  closed: { is: 'failure', health: 'neutral', cooldown: 'none' },
};

/** The answer to an opt-out is an image; only the header `X-Error` says something. */
const MEANINGS_FOR_OPT_OUT: Readonly<Partial<Record<Outcome, Meaning>>> = {
  'no-data': ANSWER,
  garbage: ANSWER,
  'code 171': ANSWER,
  'code 0': REJECTED,
  'code 200': REJECTED,
  'code 101': REJECTED,
  'code 172': REJECTED,
  'code 306': REJECTED,
};

export function meaningOf(outcome: Outcome | 'timeout' | 'closed', isOptOut: boolean): Meaning {
  return (isOptOut ? MEANINGS_FOR_OPT_OUT[outcome as Outcome] : undefined) ?? MEANINGS[outcome];
}

/** What the wire brings. The transaction id tells later which call an answer is from. */
export function wireResultOf(outcome: Outcome, callId: number, retryAfterMs: number, isOptOut: boolean): WireResult {
  switch (outcome) {
    case 'network':
    case 'http-status':
      return failure(outcome);
    case '429':
      return failure('rate-limited');
    case '429 retry-after':
      return { ...failure('rate-limited'), retryAfterMs };
  }
  const code = outcome.startsWith('code ') ? outcome.slice('code '.length) : undefined;
  if (isOptOut) return { body: '', errorHeader: code };
  return { body: bodyOf(outcome, code, callId), errorHeader: undefined };
}

function bodyOf(outcome: Outcome, code: string | undefined, callId: number): string {
  if (outcome === 'garbage') return '<html>';
  if (outcome === 'no-data') return '{}';
  if (code !== undefined && code !== '300') return `{"errors":[{"code":${code}}]}`;
  const segments = outcome === 'empty' ? '' : callId;
  const errors = code === undefined ? '' : `,"errors":[{"code":${code}}]`;
  return `{"segments":[${segments}],"uuid":"u","dcs_region":9,"tid":"call${callId}"${errors}}`;
}

function failure(reason: DcsFailure['reason']): DcsFailure {
  return { reason, message: reason };
}
