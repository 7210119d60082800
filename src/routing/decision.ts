/** Owns: telling those who watch what a guard or a router has decided. */
import { decisionChannel } from '../channels/channels';
import type { DecisionMessage } from '../channels/messages';
import type { SegmentRef } from '../segments/segment-refs';
import { VisitorSegments } from '../segments/visitor-segments';

/** Nothing is published about segments that no middleware of this copy of the package has served. */
export function publishDecision(
  segments: VisitorSegments,
  kind: DecisionMessage['kind'],
  refs: readonly SegmentRef[],
  outcome: string,
): void {
  if (!decisionChannel.hasSubscribers) return;
  const instance = VisitorSegments.middlewareOf(segments);
  // As strings: a subscriber must not be able to change what a guard goes by.
  const message: DecisionMessage | undefined = instance && { instance, kind, refs: refs.map(textOf), outcome };
  if (message !== undefined) decisionChannel.publish(message);
}

/** A name, an id or a value, as a string. */
export function textOf(ref: SegmentRef): string {
  return typeof ref === 'object' ? ref.value : String(ref);
}
