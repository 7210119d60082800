import { AamError, requireSegment, type SegmentRequiredError, type VisitorSegments } from 'express-aam-segments';
import { closeGuardedSites } from './guarded-site';
import { segmentsOf, VISITS } from './visits';

afterEach(() => {
  jest.restoreAllMocks();
  closeGuardedSites();
});

/** What a guard passes to `next` for a visitor with these segments. */
function nextOf(aamSegments: unknown, ...required: Parameters<typeof requireSegment> | []): unknown[] {
  const next = jest.fn();
  const [refs = 'highValue', options] = required;
  void requireSegment(refs, options)({ aamSegments } as never, {} as never, next);
  expect(next).toHaveBeenCalledTimes(1);
  return next.mock.calls[0];
}

function refusalOf(aamSegments: unknown): SegmentRequiredError {
  return nextOf(aamSegments)[0] as SegmentRequiredError;
}

const unknown = { status: 'unknown', reason: 'pending', hasAny: () => false, hasAll: () => false };

describe('the error of a refusal', () => {
  it.each(VISITS.filter(({ isIn }) => !isIn))('says why: $status, $reason', async (visit) => {
    jest.spyOn(process, 'emitWarning').mockImplementation();
    const error = refusalOf(await segmentsOf(visit));
    const why =
      visit.reason === undefined ? `status: ${visit.status}` : `status: ${visit.status}, reason: ${visit.reason}`;
    expect(error).toBeInstanceOf(AamError);
    expect(error.message).toBe(`The visitor is not in a required segment (${why}).`);
    expect({ ...error }).toEqual({
      name: 'AamError',
      code: 'ERR_AAM_SEGMENT_REQUIRED',
      help: 'express-aam-segments/docs/troubleshooting.md#err_aam_segment_required',
      status: 403,
      statusCode: 403,
      expose: true,
      segmentsStatus: visit.status,
      segmentsReason: visit.reason,
    });
  });

  it('is a new one for each request', () => {
    expect(refusalOf(unknown)).not.toBe(refusalOf(unknown));
  });

  it('has no stack frames, and has none formatted', () => {
    const { prepareStackTrace } = Error;
    const format = jest.fn(() => 'formatted');
    Error.prepareStackTrace = format;
    try {
      expect(refusalOf(unknown).stack).toBe(
        'AamError: The visitor is not in a required segment (status: unknown, reason: pending).',
      );
    } finally {
      Error.prepareStackTrace = prepareStackTrace as NonNullable<typeof prepareStackTrace>;
    }
    expect(format).not.toHaveBeenCalled();
  });

  it.each([0, Number.POSITIVE_INFINITY, undefined])(
    'is the same with Error.stackTraceLimit = %p, which it does not change',
    (limit) => {
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = limit as number;
      try {
        const { code, stack } = refusalOf(unknown);
        expect([code, stack?.split('\n').length, Error.stackTraceLimit]).toEqual([
          'ERR_AAM_SEGMENT_REQUIRED',
          1,
          limit,
        ]);
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
      }
    },
  );
});

describe('another value in the place of the segments', () => {
  const throwing = (thrown: unknown) => () => {
    throw thrown;
  };
  const proxy = new Proxy({}, { get: throwing(new Error('trap')) });

  it.each<[string, unknown, expected: string]>([
    ['nothing', undefined, 'ERR_AAM_MIDDLEWARE_MISSING'],
    ['null', null, 'ERR_AAM_MIDDLEWARE_MISSING'],
    ['true', true, 'ERR_AAM_MIDDLEWARE_MISSING'],
    ['an empty object', {}, 'ERR_AAM_MIDDLEWARE_MISSING'],
    ['an asynchronous stub', { hasAny: async () => true }, 'ERR_AAM_SEGMENT_REQUIRED'],
    ['an object that returns a truthy value', { hasAny: () => 'no' }, 'ERR_AAM_SEGMENT_REQUIRED'],
    ['an object that returns undefined', { hasAny: () => undefined }, 'ERR_AAM_SEGMENT_REQUIRED'],
    ['an object that throws an error', { hasAny: throwing(new Error('thrown')) }, 'thrown'],
    ['an object that throws undefined', { hasAny: throwing(undefined) }, 'A request handler failed with undefined'],
    ['an object that throws null', { hasAny: throwing(null) }, 'A request handler failed with null'],
    ['an object that throws “route”', { hasAny: throwing('route') }, 'A request handler failed with route'],
    ['an object that throws “router”', { hasAny: throwing('router') }, 'A request handler failed with router'],
    ['a proxy that throws', proxy, 'trap'],
    [
      'an object whose status cannot be read',
      Object.defineProperty({ hasAny: () => false }, 'status', { get: throwing('route') }),
      'A request handler failed with route',
    ],
    [
      'an object whose status cannot be printed',
      { hasAny: () => false, status: Symbol('x') },
      'Cannot convert a Symbol',
    ],
  ])('never opens a guard: %s', (_title, aamSegments, expected) => {
    const [error] = nextOf(aamSegments) as [Error & { code?: string }];
    expect(error).toBeInstanceOf(Error);
    expect(`${error.code} ${error.message}`).toContain(expected);
  });

  it('is asked by hasAll() if all segments are required', () => {
    const { hasAny } = { hasAny: () => true };
    expect(nextOf({ hasAny, hasAll: () => false }, 'highValue', { match: 'all' })).toEqual([
      expect.objectContaining({ code: 'ERR_AAM_SEGMENT_REQUIRED' }),
    ]);
    expect(nextOf({ hasAny, hasAll: () => true }, 'highValue', { match: 'all' })).toEqual([]);
  });

  it('may be the segments of another copy of the package', () => {
    const theirs: Pick<VisitorSegments, 'hasAny'> = { hasAny: () => true };
    expect(nextOf(theirs)).toEqual([]);
  });
});
