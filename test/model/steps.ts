/** What can happen at a modelled site, as plain data: a history can be printed, shrunk and run again. */
import fc from 'fast-check';
import { OUTCOMES, type Outcome } from './dcs-outcomes';
import { VISITORS } from './visitors';

export type Step =
  /** A page is requested. */
  | {
      readonly do: 'view';
      readonly visitor: number;
      readonly region: number;
      readonly hasTcString: boolean;
      readonly mayCall: boolean;
      readonly hasSignals: boolean;
      /** Whether the site's own function decides on consent, later. */
      readonly isConsentPending: boolean;
    }
  /** The site's own function has decided. */
  | { readonly do: 'decide'; readonly which: number; readonly how: 'agrees' | 'refuses' | 'is late and refuses' }
  /** `aam.lookup()`. */
  | { readonly do: 'lookup'; readonly visitor: number; readonly region: number }
  /** `aam.sendEvent()` on a request that was served some time ago. */
  | { readonly do: 'event'; readonly which: number }
  /** The same without a request, as the standalone client does it. */
  | { readonly do: 'tell'; readonly visitor: number; readonly region: number; readonly isAwaited: boolean }
  | { readonly do: 'refuse'; readonly visitor: number; readonly reason: 'no-consent' | 'opted-out' }
  | { readonly do: 'opt out'; readonly visitor: number }
  | { readonly do: 'forget'; readonly visitor: number }
  /** Visitors whom nobody has seen before. */
  | { readonly do: 'flood'; readonly what: 'view' | 'event'; readonly count: number; readonly region: number }
  /** The DCS answers one of the calls on the wire. */
  | {
      readonly do: 'answer';
      readonly which: number;
      readonly outcome: Outcome;
      readonly retryAfterMs: number;
      readonly isAll: boolean;
    }
  /** The rest of an answer has been read, or a socket has closed. */
  | { readonly do: 'release'; readonly which: number }
  /** A kept connection was closed by the server: the call is sent again where it may be. */
  | { readonly do: 'send again'; readonly which: number }
  /** The next call fails before its sending returns. */
  | { readonly do: 'break next' }
  | { readonly do: 'wait'; readonly ms: number; readonly isLate: boolean }
  | { readonly do: 'close' };

const visitor = fc.nat({ max: VISITORS.length - 1 });
/** The last ones are unknown to the site, and none. */
const region = fc.nat({ max: 4 });
const which = fc.nat({ max: 7 });
const mostly = fc.nat({ max: 7 }).map((n) => n > 0);
const seldom = fc.nat({ max: 7 }).map((n) => n === 7);

const good: fc.Arbitrary<Outcome> = fc.constantFrom('segments', 'segments', 'segments', 'empty', 'code 300');
const anyOutcome: fc.Arbitrary<Outcome> = fc.constantFrom(...OUTCOMES);
const bad: fc.Arbitrary<Outcome> = fc.constantFrom('http-status', 'network', 'garbage', '429', '429 retry-after');

function step<Kind extends Step['do']>(
  kind: Kind,
  rest: {
    [Field in Exclude<keyof Extract<Step, { do: Kind }>, 'do'>]: fc.Arbitrary<Extract<Step, { do: Kind }>[Field]>;
  },
): fc.Arbitrary<Step> {
  return fc.record({ do: fc.constant(kind), ...rest }, { noNullPrototype: true }) as unknown as fc.Arbitrary<Step>;
}

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 110,
    arbitrary: step('view', {
      visitor,
      region,
      hasTcString: seldom,
      mayCall: mostly,
      hasSignals: seldom,
      isConsentPending: seldom,
    }),
  },
  {
    weight: 10,
    arbitrary: step('decide', { which, how: fc.constantFrom('agrees', 'refuses', 'is late and refuses') }),
  },
  { weight: 15, arbitrary: step('lookup', { visitor, region }) },
  { weight: 60, arbitrary: step('event', { which }) },
  { weight: 30, arbitrary: step('tell', { visitor, region, isAwaited: fc.boolean() }) },
  { weight: 15, arbitrary: step('refuse', { visitor, reason: fc.constantFrom('no-consent', 'opted-out') }) },
  { weight: 10, arbitrary: step('opt out', { visitor }) },
  { weight: 10, arbitrary: step('forget', { visitor }) },
  {
    weight: 10,
    arbitrary: step('flood', {
      what: fc.constantFrom('view', 'event'),
      count: fc.integer({ min: 1, max: 12 }),
      region,
    }),
  },
  {
    weight: 150,
    arbitrary: step('answer', {
      which,
      outcome: fc.oneof(
        { weight: 6, arbitrary: good },
        { weight: 3, arbitrary: anyOutcome },
        { weight: 2, arbitrary: bad },
      ),
      retryAfterMs: fc.constantFrom(1_000, 30_000, 300_000, 86_400_000),
      isAll: mostly,
    }),
  },
  { weight: 50, arbitrary: step('release', { which }) },
  { weight: 5, arbitrary: step('send again', { which }) },
  { weight: 5, arbitrary: step('break next', {}) },
  {
    weight: 80,
    arbitrary: step('wait', {
      ms: fc.constantFrom(
        1,
        5,
        20,
        50,
        51,
        100,
        200,
        500,
        1_000,
        1_000,
        3_000,
        5_000,
        15_000,
        60_000,
        600_000,
        7_200_000,
      ),
      isLate: seldom,
    }),
  },
  { weight: 1, arbitrary: step('close', {}) },
);

export const MAX_STEPS = 150;
export const STEPS: fc.Arbitrary<Step[]> = fc.array(STEP, { minLength: 1, maxLength: MAX_STEPS, size: 'max' });
