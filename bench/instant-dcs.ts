/**
 * A DCS within the process, which answers at once: for measurements that need more calls than a network brings. It is given to
 * the package as `dcs.dispatcher`, so everything else is the real thing.
 */
import type { DcsDispatcher } from 'express-aam-segments';

const SEGMENTS_EACH = 20;
const FIRST_ID = 650_000;
/** Ids of six and seven digits. */
const ID_RANGE = 700_000;

/** Answers about the visitor `ecidOf(n)` with twenty segments, others than any other visitor's. */
export function instantDcs(): DcsDispatcher {
  return {
    dispatch({ path }, handler) {
      const [, digits] = /[?&]d_mid=\d{29}(\d{9})&/.exec(path) as RegExpExecArray;
      // undici never answers before dispatch() has returned.
      setImmediate(() => {
        handler.onRequestStart?.(CONTROLLER, {});
        handler.onResponseStart?.(CONTROLLER, 200, { 'content-type': 'application/json' }, 'OK');
        handler.onResponseData?.(CONTROLLER, Buffer.from(answerAbout(Number(digits))));
        handler.onResponseEnd?.(CONTROLLER, {});
      });
      return true;
    },
  };
}

/** Nobody pauses or aborts these calls: they are over too soon. */
const CONTROLLER = {
  aborted: false,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
};

function answerAbout(n: number): string {
  // Steps of a golden section spread the ids evenly, as those of an account's segments are.
  const segments = Array.from({ length: SEGMENTS_EACH }, (_, index) => {
    return FIRST_ID + ((n * 7_919 + index * 432_637) % ID_RANGE);
  });
  const transaction = Buffer.alloc(8);
  transaction.writeUInt32LE((n * 2_654_435_761) >>> 0);
  transaction.writeUInt32LE(n, 4);
  return JSON.stringify({
    stuff: [],
    uuid: `0795526165288603295014${String(n).padStart(16, '0')}`,
    dcs_region: 9,
    traits: segments,
    segments,
    tid: transaction.toString('base64'),
  });
}
