/**
 * Owns: parsing a DCS answer. The answer is untrusted: each item that does not have the documented shape is ignored, and
 * only a body that is not a JSON object is an error. What the fields mean for a visitor is decided in segments/.
 */
import { DcsError } from './dcs-error';
import { type Exclusion, effectOf } from './error-codes';

/** A usable answer. */
export interface DcsReply {
  /** Segment ids in canonical decimal form, without duplicates. */
  readonly segments: readonly string[];
  /** Whether the answer has a list of segment ids, even an empty one. */
  readonly hasSegmentIds: boolean;
  /** Cookie destinations that the visitor qualifies for: cookie name and raw value. A name can occur more than once. */
  readonly destinations: readonly (readonly [name: string, value: string])[];
  /** The visitor's Audience Manager UUID. */
  readonly uuid: string | undefined;
  /** The region that handled the call, not necessarily the one that stores the visitor's profile. */
  readonly region: number | undefined;
  /** The id by which Adobe support can find the call. */
  readonly transactionId: string | undefined;
  /** Codes from the body and the `X-Error` header, without duplicates. Only warnings: other codes are thrown. */
  readonly errors: readonly number[];
}

const DEFAULT_OPT_OUT_TTL_MS = 7_200_000; // what Adobe's own client assumes without `d_ottl`
const MAX_OPT_OUT_TTL_MS = 2_147_483_647;

/**
 * Parses the answer to a lookup or an event.
 * @throws {DcsError} `bad-reply` for a body that is not a JSON object; `dcs-error` for an error code or for an answer
 * without data; an exclusion when the DCS does not serve the visitor
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
  // An empty list together with a uuid means "in no segment". Without a uuid, or without any list, the answer has no data.
  const hasList = Array.isArray(json.segments) || Array.isArray(json.stuff);
  const hasData = reply.segments.length > 0 || reply.destinations.length > 0 || (hasList && uuid !== undefined);
  if (!hasData) throw new DcsError('dcs-error', 'The DCS answered without data.', { dcsCode: errors[0], noData: true });
  return reply;
}

/**
 * Parses the answer to an opt-out, which is an image; errors are only in its header.
 * @throws {DcsError} `dcs-error` when a code says that the opt-out failed
 */
export function replyToOptOut(errorHeader: string | undefined): DcsReply {
  const errors = codesOfHeader(errorHeader);
  const { effect, code } = effectOf(errors);
  // A visitor who had already opted out is a success.
  if (effect !== 'warning' && effect !== 'opted-out') {
    throw new DcsError('dcs-error', `The DCS answered with error ${code}.`, { dcsCode: code });
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
    // Not passed on as `cause`: the parser's message quotes the body.
    throw new DcsError('bad-reply', `The DCS answered with ${body.length} characters that are not JSON.`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new DcsError('bad-reply', 'The DCS answered with JSON that is not an object.');
  }
  return json as Readonly<Record<string, unknown>>;
}

/** Why the DCS does not serve the visitor of an answer, such as one that was stored; `undefined` if it does. */
export function exclusionIn(answer: Readonly<Record<string, unknown>>): Exclusion | undefined {
  const { effect } = effectOfAnswer(answer, codesOfBody(answer.errors));
  return effect === 'warning' || effect === 'rejected' || effect === 'no-data' ? undefined : effect;
}

function effectOfAnswer(
  { d_optout }: Readonly<Record<string, unknown>>,
  errors: readonly number[],
): ReturnType<typeof effectOf> {
  return hasOptOut(d_optout) ? { effect: 'opted-out', code: undefined } : effectOf(errors);
}

function assertUsable(json: Readonly<Record<string, unknown>>, errors: readonly number[]): void {
  const { effect, code } = effectOfAnswer(json, errors);
  switch (effect) {
    case 'warning':
      return;
    case 'rejected':
    case 'no-data':
      throw new DcsError('dcs-error', `The DCS answered with error ${code}.`, {
        dcsCode: code,
        noData: effect === 'no-data',
      });
    case 'opted-out':
      throw new DcsError(effect, 'The DCS reports that the visitor has opted out.', {
        dcsCode: code,
        optOutTtlMs: optOutTtlMs(json.d_ottl),
      });
    default:
      throw new DcsError(effect, `The DCS answered with error ${code}.`, { dcsCode: code });
  }
}

/** Adobe's mobile SDK treats any non-empty list as an opt-out, whatever levels it names. When in doubt, it is one. */
function hasOptOut(levels: unknown): boolean {
  if (Array.isArray(levels)) return levels.some((level) => level !== 'NONE' && level !== '');
  return Boolean(levels) && levels !== 'NONE';
}

function optOutTtlMs(seconds: unknown): number {
  const given = integer(seconds);
  return given === undefined || given === 0 ? DEFAULT_OPT_OUT_TTL_MS : Math.min(given * 1000, MAX_OPT_OUT_TTL_MS);
}

function destination(item: unknown): readonly [string, string] | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { cn, cv } = item as { cn?: unknown; cv?: unknown };
  // As with ids: a number above 2^53 has lost digits.
  const value = typeof cv === 'number' && Math.abs(cv) <= Number.MAX_SAFE_INTEGER ? String(cv) : cv;
  return typeof cn === 'string' && cn !== '' && typeof value === 'string' && value !== '' ? [cn, value] : undefined;
}

/** Ids are numbers; strings of digits are accepted too. A number above 2^53 has lost digits and is ignored. */
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

/** Documented as twelve base64 characters; longer ones are accepted up to a bound, since each is stored with its answer. */
function transactionId(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w+/=-]{1,64}$/.test(value) ? value : undefined;
}

function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}
