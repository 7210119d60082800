import { Call, type CallKind, type CallResult } from '../../../src/dcs/flow/call';

/** A call, and how it ended. */
export function newCall(kind: CallKind, key = 'a', region?: number) {
  const results: CallResult[] = [];
  const call = new Call({
    kind,
    key,
    region,
    request: { method: 'GET', path: '/event', body: undefined },
    isRepeatable: kind !== 'event',
    observer: { began: () => {}, ended: (result) => results.push(result) },
  });
  return Object.assign(call, { results });
}
