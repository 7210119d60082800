/**
 * Owns: reading a DCS answer. The answer is untrusted: whatever does not have the documented shape is left out, item
 * by item, and only a body that is no JSON object at all is an error. It must not know what the fields mean for
 * a visitor (segments/).
 */
import { DcsError } from './dcs-error';
import { effectOf } from './error-codes';

/** A usable answer. */
export interface DcsReply {
  /** Segment ids in canonical decimal form, each once. */
  readonly segments: readonly string[];
  /** Whether the answer has a list of segment ids at all, be it empty. */
  readonly hasSegmentIds: boolean;
  /** Cookie destinations that the visitor qualifies for now: cookie name and raw value. A name can occur twice. */
  readonly destinations: readonly (readonly [name: string, value: string])[];
  /** The visitor's Audience Manager UUID. */
  readonly uuid: string | undefined;
  /** The data centre that handled the call, which need not be where the visitor's profile lives. */
  readonly region: number | undefined;
  /** Adobe support can find the call by it. */
  readonly transactionId: string | undefined;
  /** Codes of the body and of `X-Error`, each once. Only warnings: anything worse is thrown. */
  readonly errors: readonly number[];
}

const DEFAULT_OPT_OUT_TTL_MS = 7_200_000; // what Adobe's own client assumes where `d_ottl` is absent
const MAX_OPT_OUT_TTL_MS = 2_147_483_647;

/**
 * Reads the answer to a lookup.
 * @throws {DcsError} `bad-reply` for what is no JSON object; an exclusion, `dcs-error` or no data by the DCS's codes
 */
export function replyFromBody(body: string, errorHeader: string | undefined): DcsReply {
  const json = objectFromJson(body);
  const errors = [...new Set([...codesOfBody(json.errors), ...codesOfHeader(errorHeader)])];
  assertUsable(json, errors);

  const uuid = text(json.uuid) ?? text(json.u);
  const reply: DcsReply = {
    segments: [...new Set(items(json.segments).map(canonicalId).filter(isDefined))],
    hasSegmentIds: Array.isArray(json.segments),
    destinations: items(json.stuff).map(destination).filter(isDefined),
    uuid,
    region: integer(json.dcs_region),
    transactionId: transactionId(json.tid),
    errors,
  };
  // An empty list beside a uuid says "in none of them". Without a uuid, or without any list, nothing was said.
  const answered = Array.isArray(json.segments) || Array.isArray(json.stuff);
  const hasData = reply.segments.length > 0 || reply.destinations.length > 0 || (answered && uuid !== undefined);
  if (!hasData) throw new DcsError('dcs-error', 'the DCS answered without data', { dcsCode: errors[0], noData: true });
  return reply;
}

/**
 * Reads the answer to an opt-out: an image, but for the codes in its header.
 * @throws {DcsError} for a code that says it did not come about
 */
export function replyToOptOut(errorHeader: string | undefined): DcsReply {
  const errors = codesOfHeader(errorHeader);
  const { effect, code } = effectOf(errors);
  // Who had opted out before has opted out.
  if (effect !== 'warning' && effect !== 'opted-out') {
    throw new DcsError('dcs-error', `the DCS answered error ${code}`, { dcsCode: code });
  }
  return {
    segments: [],
    hasSegmentIds: false,
    destinations: [],
    uuid: undefined,
    region: undefined,
    transactionId: undefined,
    errors,
  };
}

function objectFromJson(body: string): Readonly<Record<string, unknown>> {
  if (body.trim() === '') return {};
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    // The parser's message quotes the body: not passed on as `cause`.
    throw new DcsError('bad-reply', `the DCS answered ${body.length} characters that are not JSON`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new DcsError('bad-reply', 'the DCS answered JSON that is no object');
  }
  return json as Readonly<Record<string, unknown>>;
}

function assertUsable(json: Readonly<Record<string, unknown>>, errors: readonly number[]): void {
  const { effect, code } = hasOptOut(json.d_optout)
    ? { effect: 'opted-out' as const, code: undefined }
    : effectOf(errors);
  switch (effect) {
    case 'warning':
      return;
    case 'rejected':
    case 'no-data':
      throw new DcsError('dcs-error', `the DCS answered error ${code}`, {
        dcsCode: code,
        noData: effect === 'no-data',
      });
    case 'opted-out':
      throw new DcsError(effect, 'the DCS says that the visitor opted out', {
        dcsCode: code,
        optOutTtlMs: optOutTtl(json.d_ottl),
      });
    default:
      throw new DcsError(effect, `the DCS answered error ${code}`, { dcsCode: code });
  }
}

/** Adobe's mobile SDK takes any non-empty list for an opt-out, whatever level it names. In doubt it is one. */
function hasOptOut(levels: unknown): boolean {
  if (Array.isArray(levels)) return levels.some((level) => level !== 'NONE' && level !== '');
  return Boolean(levels) && levels !== 'NONE';
}

function optOutTtl(seconds: unknown): number {
  const given = integer(seconds);
  return given === undefined || given === 0 ? DEFAULT_OPT_OUT_TTL_MS : Math.min(given * 1000, MAX_OPT_OUT_TTL_MS);
}

function destination(item: unknown): readonly [string, string] | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { cn, cv } = item as { cn?: unknown; cv?: unknown };
  // As with ids: a number beyond 2^53 has lost digits.
  const value = typeof cv === 'number' && Math.abs(cv) <= Number.MAX_SAFE_INTEGER ? String(cv) : cv;
  return typeof cn === 'string' && cn !== '' && typeof value === 'string' && value !== '' ? [cn, value] : undefined;
}

/** Ids come as numbers; strings of digits are taken too. A number beyond 2^53 has lost digits: left out. */
function canonicalId(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined;
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? value.replace(/^0+(?=\d)/, '') : undefined;
}

function codesOfBody(errors: unknown): number[] {
  return items(errors)
    .map((error) =>
      typeof error === 'object' && error !== null ? integer((error as { code?: unknown }).code) : undefined,
    )
    .filter(isDefined);
}

function codesOfHeader(header: string | undefined): number[] {
  return (header ?? '')
    .split(',')
    .map((code) => integer(code.trim()))
    .filter(isDefined);
}

function integer(value: unknown): number | undefined {
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Twelve base64 characters as documented; a good deal longer is something else and not worth keeping. */
function transactionId(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w+/=-]{1,64}$/.test(value) ? value : undefined;
}

function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}
