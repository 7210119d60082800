/**
 * Owns: what processes tell each other, in one line of text: `<version> <sender> <kind> <visitor key> <stamp>`. No identifier
 * is in it. Next: shared-tier.ts.
 */
import { WIRE_VERSION } from './shared-store';

/**
 * - `forgotten`, `withdrawn`, `opted-out`: what was known before is out of date;
 * - `excluded`: the DCS does not serve the visitor;
 * - `event-began`, `event-ended`: what is known will be out of date; there is a newer answer;
 * - `ended`: the lock is free.
 */
export type FleetMessageKind = (typeof KINDS)[number];

export interface FleetMessage {
  readonly kind: FleetMessageKind;
  /** Of the visitor. */
  readonly key: string;
}

const KINDS = [
  'forgotten',
  'withdrawn',
  'opted-out',
  'excluded',
  'event-began',
  'event-ended',
  'ended',
] as const satisfies readonly string[];
const MAX_LENGTH = 400;

/** The store adds the stamp. */
export function messageText(sender: string, { kind, key }: FleetMessage): string {
  return `${WIRE_VERSION} ${sender} ${kind} ${key}`;
}

/** `undefined` for one's own messages, those of other versions, and whatever else somebody publishes. */
export function readMessage(text: string, self: string): FleetMessage | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [version, sender, kind, key] = text.split(' ');
  if (version !== WIRE_VERSION || sender === self || key === undefined || key === '') return undefined;
  const known = KINDS.find((each) => each === kind);
  return known && { kind: known, key };
}

/** A sign of life, which only its sender listens to. */
export function beatText(sender: string, atMs: number): string {
  return `${WIRE_VERSION} ${sender} beat ${Math.floor(atMs)}`;
}

/** When a sign of life was sent, and the name of the engine's memory. */
export function readBeat(text: string, self: string): { readonly atMs: number; readonly memory: string } | undefined {
  const [version, sender, kind, atMs, memory = ''] = text.slice(0, MAX_LENGTH).split(' ');
  const isOwn = version === WIRE_VERSION && sender === self && kind === 'beat' && /^\d{1,15}$/.test(atMs ?? '');
  return isOwn ? { atMs: Number(atMs), memory } : undefined;
}
