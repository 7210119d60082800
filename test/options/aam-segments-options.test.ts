import { type AamSegmentsOptions, resolveOptions } from '../../src/options/aam-segments-options';
import { throwing, withThrowing } from '../helpers/hostile';

const REQUIRED = { orgId: '1FD6776A524453CC0A490D44@AdobeOrg', partner: 'acme' };

function resolve(options: object) {
  return resolveOptions({ ...REQUIRED, ...options } as AamSegmentsOptions);
}

/** The error that these options throw. */
function errorOf(options: object): { code: string; message: string } {
  try {
    resolve(options);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error(`accepted: ${JSON.stringify(options)}`);
}

describe('resolveOptions', () => {
  it('adds the defaults', () => {
    const { names, dcs, ...rest } = resolve({});
    const { regions, ...restOfDcs } = dcs;
    expect(rest).toEqual({
      orgId: REQUIRED.orgId,
      destinations: new Map(),
      maxWaitMs: 150,
      skip: undefined,
      excludeBots: true,
      signals: undefined,
      identity: { sEcid: true, adobeMc: false, uuidCookies: [], resolve: undefined, customerIds: undefined },
      consent: {
        required: false,
        gpc: true,
        tcfCookie: ['euconsent-v2', 'eupubconsent-v2'],
        tcf: 'strict',
        gpp: true,
        usPrivacy: true,
        given: undefined,
      },
      privacy: { varyCookie: false },
      experiments: { onExposure: undefined },
      cache: {
        maxVisitors: 100_000,
        maxBytes: 134_217_728,
        ttlMs: 60_000,
        staleWhileRevalidateMs: 600_000,
        staleIfErrorMs: 3_600_000,
        emptyTtlMs: 15_000,
        keySecret: undefined,
      },
    });
    expect(restOfDcs).toEqual({
      orgId: REQUIRED.orgId,
      partnerHost: 'acme.demdex.net',
      timeoutMs: 1_000,
      segmentIds: 'sid',
      method: 'get',
      connections: 64,
      maxQueuedCalls: 128,
      maxQueuedEvents: 1_000,
      breaker: { minCalls: 10, windowMs: 10_000, failurePercent: 50, probeAfterMs: 5_000 },
      failover: true,
      failureCooldownMs: 1_000,
      maxCallsPerMinute: 20,
      dispatcher: undefined,
    });
    expect(regions.originOf(9).origin).toBe('https://usw2.demdex.net');
    expect(regions.originOf(undefined).origin).toBe('https://acme.demdex.net');
  });

  it('adds @AdobeOrg to an organisation id without an @', () => {
    expect(resolve({ orgId: '1FD6776A524453CC0A490D44' }).orgId).toBe(REQUIRED.orgId);
    expect(resolve({ orgId: '1FD6776A524453CC0A490D44@Other' }).orgId).toBe('1FD6776A524453CC0A490D44@Other');
  });

  it('accepts the alias with and without its domain', () => {
    expect(resolve({ partner: 'acme.demdex.net' }).dcs.partnerHost).toBe('acme.demdex.net');
    expect(resolve({ partner: 'a' }).dcs.partnerHost).toBe('a.demdex.net');
  });

  it('accepts the bounds of each range', () => {
    expect(resolve({ maxWaitMs: 0, cache: { ttlMs: 2_147_483_647, maxVisitors: 1 } })).toMatchObject({
      maxWaitMs: 0,
      cache: { ttlMs: 2_147_483_647, maxVisitors: 1 },
    });
  });

  it.each([
    ['orgId', undefined],
    ['orgId', 7],
    ['orgId', ''],
    ['orgId', 'a b'],
    ['orgId', 'a;b@AdobeOrg'],
    ['partner', undefined],
    ['partner', ''],
    ['partner', 'acme/'],
    ['partner', 'https://acme.demdex.net'],
    ['partner', 'acme.example.com'],
    ['partner', 'a.b'],
    ['partner', '-acme'],
    ['partner', `${'a'.repeat(64)}`],
    ['partner', 'acme\r\nX: y'],
    ['segments', null],
    ['segments', []],
    ['destinations', 'aam'],
    ['skip', true],
    ['identity', null],
    ['identity', false],
    ['cache', 60_000],
    ['dcs', []],
  ])('refuses %s = %p', (option, value) => {
    const { code, message } = errorOf({ [option]: value });
    expect(code).toBe('ERR_AAM_INVALID_OPTION');
    expect(message).toMatch(new RegExp(`^options\\.${option} must be .+, got `));
  });

  it.each(
    ['options.maxWaitMs', 'options.cache.ttlMs', 'options.cache.staleWhileRevalidateMs', 'options.cache.staleIfErrorMs']
      .concat(['options.cache.emptyTtlMs', 'options.dcs.timeoutMs', 'options.dcs.failureCooldownMs'])
      .concat(['options.cache.maxVisitors', 'options.dcs.connections', 'options.dcs.maxQueuedCalls'])
      .flatMap((path) =>
        [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, 2 ** 31, '5', null, {}].map((value) => [path, value] as const),
      ),
  )('refuses %s = %p with the rule and the value', (path, value) => {
    const [, group, name] = /^options\.(?:(\w+)\.)?(\w+)$/.exec(path) as unknown as [string, string?, string?];
    const given = group === undefined ? { [name as string]: value } : { [group]: { [name as string]: value } };
    const { code, message } = errorOf(given);
    expect(code).toBe('ERR_AAM_INVALID_OPTION');
    expect(message).toMatch(new RegExp(`^${path} must be an integer from \\d to \\d+, got \\S`));
  });

  it.each(
    ['minCalls', 'windowMs', 'failurePercent', 'probeAfterMs'].flatMap((name) =>
      [Number.NaN, -1, 1.5, 2 ** 31, '5', null].map((value) => [name, value] as const),
    ),
  )('refuses dcs.breaker.%s = %p', (name, value) => {
    const { code, message } = errorOf({ dcs: { breaker: { [name]: value } } });
    expect(code).toBe('ERR_AAM_INVALID_OPTION');
    expect(message).toMatch(
      new RegExp(`^options\\.dcs\\.breaker\\.${name} must be an integer from \\d to \\d+, got \\S`),
    );
  });

  it.each([
    [{ breaker: { minCalls: 0 } }],
    [{ breaker: { failurePercent: 0 } }],
    [{ breaker: { failurePercent: 101 } }],
    [{ breaker: null }],
    [{ breaker: 50 }],
    [{ failover: 'no' }],
    [{ failover: null }],
    [{ dispatcher: null }],
    [{ dispatcher: {} }],
    [{ dispatcher: 'http://proxy.example.com' }],
  ])('refuses dcs = %j', (dcs) => {
    expect(errorOf({ dcs })).toMatchObject({ code: 'ERR_AAM_INVALID_OPTION' });
  });

  it.each([
    ['options.segments', { segments: withThrowing({ golfFans: 1 }, ['golfFans']) }],
    ['options.segments', { segments: throwing({ golfFans: 1 }) }],
    ['options.destinations', { destinations: withThrowing({ aam: {} }, ['aam']) }],
    ['options.dcs.origins', { dcs: { origins: throwing({}), defaultOrigin: 'https://dcs.example' } }],
  ])('refuses %s that throws when it is read, without what it throws', (path, options) => {
    const { code, message } = errorOf(options);
    expect(code).toBe('ERR_AAM_INVALID_OPTION');
    expect(message).toBe(`${path} must be readable: reading it threw, got an object`);
  });

  it.each(['maxVisitors', 'connections'])('refuses %s = 0', (name) => {
    const group = name === 'connections' ? 'dcs' : 'cache';
    expect(errorOf({ [group]: { [name]: 0 } }).message).toMatch(
      /must be an integer from 1 to 100000000, got 0 \(number\)/,
    );
  });

  it.each([
    [{ maxwaitMs: 1 }, "options.maxwaitMs is not an option; did you mean 'maxWaitMs'?"],
    [{ cache: { ttl: 1 } }, "options.cache.ttl is not an option; did you mean 'ttlMs'?"],
    [
      { dcs: { breaker: { probeMs: 1 } } },
      "options.dcs.breaker.probeMs is not an option; did you mean 'probeAfterMs'?",
    ],
    [{ dcs: { timeout: 1 } }, "options.dcs.timeout is not an option; did you mean 'timeoutMs'?"],
    [{ identity: { secid: true } }, "options.identity.secid is not an option; did you mean 'sEcid'?"],
    [
      { destinations: { aam: { key: 'seg' } } },
      'options.destinations["aam"].key is not an option; did you mean \'keys\'?',
    ],
  ])('refuses the unknown key in %j and suggests the nearest', (options, message) => {
    expect(errorOf(options)).toMatchObject({ code: 'ERR_AAM_UNKNOWN_OPTION', message });
  });

  it.each(['', 'default', '984263', 'toString', '__proto__', 'constructor'])(
    'refuses %p as the name of a segment',
    (name) => {
      const segments = Object.fromEntries([[name, 984263]]);
      expect(errorOf({ segments })).toMatchObject({ code: 'ERR_AAM_INVALID_OPTION' });
    },
  );

  it.each([Number.NaN, -1, 1.5, '', 'abc', '1e3', {}, { value: '' }, { value: 7 }, null, true])(
    'refuses %p as a segment',
    (id) => {
      expect(errorOf({ segments: { golfFans: id } }).message).toMatch(
        /^options\.segments\["golfFans"\] must be a segment id/,
      );
    },
  );

  it.each([
    { keys: [] },
    { keys: 'seg' },
    { keys: [''] },
    { keySeparator: '' },
    { pairSeparator: 7 },
    { serialSeparator: '' },
  ])('refuses %j as the format of a destination', (format) => {
    expect(errorOf({ destinations: { aam: format } }).code).toBe('ERR_AAM_INVALID_OPTION');
  });

  it.each([
    'usw2.demdex.net',
    'ftp://usw2.demdex.net',
    'https://usw2.demdex.net/event',
    'https://u:p@usw2.demdex.net',
    'https://x/?a',
    '',
    7,
  ])('refuses %p as an origin', (origin) => {
    expect(errorOf({ dcs: { origins: {}, defaultOrigin: origin } }).code).toBe('ERR_AAM_INVALID_OPTION');
    expect(errorOf({ dcs: { defaultOrigin: 'http://a', origins: { 9: origin } } }).code).toBe('ERR_AAM_INVALID_OPTION');
  });

  it('requires a default origin with a table of origins, which replaces the built-in one', () => {
    expect(errorOf({ dcs: { origins: { 9: 'http://127.0.0.1:1' } } }).message).toMatch(
      /^options\.dcs\.defaultOrigin must be given/,
    );
    const { regions } = resolve({
      dcs: { origins: { 99: 'http://127.0.0.1:1' }, defaultOrigin: 'http://127.0.0.1:2' },
    }).dcs;
    expect([regions.has(99), regions.has(9)]).toEqual([true, false]);
    expect(regions.originOf(99).origin).toBe('http://127.0.0.1:1');
    expect(regions.originOf(9).origin).toBe('http://127.0.0.1:2');
  });

  it('refuses a default origin alone, with which visitors of known regions would be asked about at Adobe', () => {
    const error = errorOf({ dcs: { defaultOrigin: 'http://127.0.0.1:1' } });
    expect(error.code).toBe('ERR_AAM_INVALID_OPTION');
    expect(error.message).toMatch(/^options\.dcs\.origins must be given together with options\.dcs\.defaultOrigin/);
    const { regions } = resolve({ dcs: { origins: {}, defaultOrigin: 'http://127.0.0.1:1' } }).dcs;
    expect([9, undefined].map((region) => regions.originOf(region).origin)).toEqual(
      Array(2).fill('http://127.0.0.1:1'),
    );
  });

  it('refuses a segment by the value of a destination without destinations', () => {
    const segments = { golfFans: 984263, sporty: { value: 'sports-fan' } };
    expect(errorOf({ segments })).toMatchObject({
      code: 'ERR_AAM_INVALID_OPTION',
      message: expect.stringMatching(/^options\.segments\["sporty"\] .* needs the option 'destinations'/),
    });
    expect(errorOf({ segments, destinations: {} }).code).toBe('ERR_AAM_INVALID_OPTION');
    expect(resolve({ segments, destinations: { aam: {} } }).names).toBeDefined();
  });

  it.each([
    [{ cache: { ttlMs: 2_999 } }, 3_000],
    [{ cache: { ttlMs: 0 }, dcs: { maxCallsPerMinute: 7 } }, 8_572],
  ])('warns of a ttl that needs more calls than are allowed, %j', (options, least) => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    for (let n = 0; n < 2; n++) resolve(options);
    expect(warned.mock.calls).toEqual([
      [expect.stringContaining(`at least ${least}.`), expect.objectContaining({ code: 'WRN_AAM_SHORT_TTL' })],
    ]);
    resolve({ ...options, cache: { ttlMs: least } });
    expect(warned).toHaveBeenCalledTimes(1);
    warned.mockRestore();
  });

  it('warns once of options that leave nothing to put a visitor into a segment', () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    for (let n = 0; n < 2; n++) resolve({ dcs: { segmentIds: false } });
    resolve({ dcs: { segmentIds: false }, destinations: { aam: {} } });
    resolve({ dcs: { segmentIds: 'legacy' } });
    expect(warned.mock.calls).toEqual([
      [
        expect.stringMatching(/Configure 'destinations'/),
        expect.objectContaining({ code: 'WRN_AAM_NO_SEGMENT_SOURCE' }),
      ],
    ]);
    warned.mockRestore();
  });

  it.each(['x', '-1', '0', '1.5', '10000'])('refuses the region id %p', (region) => {
    const dcs = { origins: { [region]: 'http://127.0.0.1:1' }, defaultOrigin: 'http://127.0.0.1:1' };
    expect(errorOf({ dcs }).code).toBe('ERR_AAM_INVALID_OPTION');
  });

  it('refuses unknown kinds of segment ids', () => {
    expect(errorOf({ dcs: { segmentIds: true } }).message).toBe(
      'options.dcs.segmentIds must be "sid" (string) or "legacy" (string) or false (boolean), got true (boolean)',
    );
  });

  it.each([
    ['excludeBots', 'yes'],
    ['identity.adobeMc', 1],
    ['identity.uuidCookie', ''],
    ['identity.uuidCookie', 'a b'],
    ['identity.uuidCookie', ['aam_uuid', 7]],
    ['identity.uuidCookie', null],
    ['identity.resolve', true],
    ['identity.customerIds', []],
    ['consent.required', 'true'],
    ['consent.gpc', null],
    ['consent.tcfCookie', true],
    ['consent.tcfCookie', ['tc', 7]],
    ['consent.tcf', 'strictly'],
    ['consent.gpp', 'yes'],
    ['consent.usPrivacy', 1],
    ['consent.tcfCookie', 'tc;string'],
    ['consent.given', true],
    ['privacy.varyCookie', 'Cookie'],
    ['privacy', []],
    ['consent', 'required'],
  ])('refuses %s: %j', (path, value) => {
    const [name, option] = path.split('.') as [string, string?];
    const { code, message } = errorOf({ [name]: option === undefined ? value : { [option]: value } });
    expect([code, message]).toEqual(['ERR_AAM_INVALID_OPTION', expect.stringContaining(`options.${path} must be `)]);
  });

  it('accepts one cookie name or several for the UUID, and any function', () => {
    const uuidCookies = (uuidCookie: unknown) => resolve({ identity: { uuidCookie } }).identity.uuidCookies;
    expect(uuidCookies('aam_uuid')).toEqual(['aam_uuid']);
    expect(uuidCookies(['aam_uuid', 'aam_did'])).toEqual(['aam_uuid', 'aam_did']);
    expect(resolve({ consent: { tcfCookie: false, given: Boolean } }).consent).toMatchObject({ tcfCookie: [] });
  });

  it.each(['a secret that is too short', 7, null])('refuses the key secret %j without repeating it', (keySecret) => {
    const { code, message } = errorOf({ cache: { keySecret } });
    expect(code).toBe('ERR_AAM_INVALID_OPTION');
    expect(message).toMatch(/^options\.cache\.keySecret must be a string of at least 32 characters, got /);
    expect(message).not.toContain('too short');
  });

  it('refuses options that are not an object', () => {
    for (const options of [undefined, null, 'acme', []]) {
      expect(() => resolveOptions(options as unknown as AamSegmentsOptions)).toThrow('options must be an object');
    }
  });

  it('reads each option once and does not modify the object', () => {
    const reads: string[] = [];
    const spied = new Proxy(Object.freeze({ ...REQUIRED, maxWaitMs: 1, cache: Object.freeze({ ttlMs: 1 }) }), {
      get: (target, key) => {
        reads.push(String(key));
        return Reflect.get(target, key);
      },
    });
    resolveOptions(spied as AamSegmentsOptions);
    expect(reads.filter((key, index) => reads.indexOf(key) !== index)).toEqual([]);
    expect(reads).toContain('maxWaitMs');
  });
});
