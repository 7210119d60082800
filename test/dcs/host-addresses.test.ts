import dns, { type LookupAddress } from 'node:dns';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { addressesOf, forgetAddresses, preferAddress } from '../../src/dcs/host-addresses';
import { advanceableClock } from '../helpers/site';

interface Asked {
  readonly host: string;
  readonly options: object;
  answer(...addresses: string[]): void;
  fail(): void;
}

/** What the name server has been asked, and not answered yet. */
const asked: Asked[] = [];
/** All hosts that it was asked for. */
const hosts: string[] = [];

beforeEach(() => {
  hosts.length = 0;
  jest.spyOn(dns, 'lookup').mockImplementation(((host: string, options: object, callback: CallableFunction) => {
    hosts.push(host);
    const settle = (...result: unknown[]) => {
      asked.splice(asked.indexOf(each), 1);
      callback(...result);
    };
    const each: Asked = {
      host,
      options,
      answer: (...addresses) => settle(null, addresses.map(entry)),
      fail: () => settle(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }), undefined),
    };
    asked.push(each);
  }) as unknown as typeof dns.lookup);
});

afterEach(() => {
  // A lookup that is left would keep those of the next test waiting.
  while (asked.length > 0) asked[0]?.fail();
  jest.restoreAllMocks();
});

const entry = (address: string): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 });

/** Asks for the addresses of a host. */
function ask(host: string) {
  const results: (string[] | string)[] = [];
  const cancel = addressesOf(host, (error, addresses) => {
    results.push(error === undefined ? addresses.map(({ address }) => address) : error.message);
  });
  return { results, cancel };
}

/** A host whose address has just been found. */
function found(host: string, ...addresses: string[]) {
  ask(host);
  asked[0]?.answer(...addresses);
  hosts.length = 0;
}

describe('the addresses of a host', () => {
  it('are looked up once for all who ask, with all addresses, IPv4 first', () => {
    const callers = Array.from({ length: 50 }, () => ask('once.example'));
    expect(asked).toMatchObject([{ host: 'once.example', options: { all: true, order: 'ipv4first' } }]);
    asked[0]?.answer('192.0.2.1', '::1');
    expect(callers.map(({ results }) => results)).toEqual(Array(50).fill([['192.0.2.1', '::1']]));
    expect(ask('once.example').results).toEqual([['192.0.2.1', '::1']]);
    expect(hosts).toEqual(['once.example']);
  });

  it('are looked up one host at a time, in the order in which they were asked for, however many ask', () => {
    const names = Array.from({ length: 10 }, (_, n) => `queue${n}.example`);
    const callers = [...names, ...names, ...names].map((name) => ask(name));
    for (const name of names) {
      expect(asked.map(({ host }) => host)).toEqual([name]);
      asked[0]?.answer(`192.0.2.${name.length}`);
    }
    expect([asked, hosts]).toEqual([[], names]);
    expect(callers.map(({ results }) => results.length)).toEqual(Array(30).fill(1));
  });

  it('are asked for again when the lookup failed, which all who waited are told', () => {
    const callers = [ask('failing.example'), ask('failing.example')];
    asked[0]?.fail();
    expect(callers.map(({ results }) => results)).toEqual([['no such host'], ['no such host']]);
    const caller = ask('failing.example');
    asked[0]?.answer();
    expect(caller.results).toEqual(['no address']);
    const last = ask('failing.example');
    asked[0]?.answer('192.0.2.1');
    expect(last.results).toEqual([['192.0.2.1']]);
  });

  it('can be asked for again by one who is told of a failure', () => {
    let again: ReturnType<typeof ask> | undefined;
    addressesOf('retried.example', () => {
      again = ask('retried.example');
    });
    asked[0]?.fail();
    expect(asked).toHaveLength(1);
    asked[0]?.answer('192.0.2.1');
    expect(again?.results).toEqual([['192.0.2.1']]);
  });

  it('need no lookup for an address, in brackets or without', () => {
    expect(['192.0.2.7', '[::1]', '::1'].map((host) => ask(host).results)).toEqual([
      [['192.0.2.7']],
      [['::1']],
      [['::1']],
    ]);
    expect(hosts).toEqual([]);
  });
});

describe('a caller who gives up', () => {
  it('is not called back, and the others are', () => {
    const [first, second] = [ask('left.example'), ask('left.example')];
    first.cancel();
    first.cancel();
    asked[0]?.answer('192.0.2.1');
    expect([first.results, second.results]).toEqual([[], [['192.0.2.1']]]);
  });

  it('leaves nothing behind, and what was found is remembered', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const callback = new WeakRef(
      (() => {
        const mine = jest.fn().bind(null);
        addressesOf('forgotten.example', mine)();
        return mine;
      })(),
    );
    await new Promise(setImmediate);
    collectGarbage();
    expect(callback.deref()).toBeUndefined();
    asked[0]?.answer('192.0.2.1');
    expect(ask('forgotten.example').results).toEqual([['192.0.2.1']]);
  });

  it('takes the turn of a host with them that nobody else waits for', () => {
    const running = ask('silent.example');
    const [left, stayed, other] = [ask('unwanted.example'), ask('wanted.example'), ask('wanted.example')];
    left.cancel();
    other.cancel();
    running.cancel();
    asked[0]?.fail();
    expect(asked.map(({ host }) => host)).toEqual(['wanted.example']);
    asked[0]?.answer('192.0.2.1');
    expect([asked, left.results, stayed.results]).toEqual([[], [], [['192.0.2.1']]]);
    const late = ask('unwanted.example');
    left.cancel();
    asked[0]?.answer('192.0.2.2');
    expect(late.results).toEqual([['192.0.2.2']]);
  });
});

describe('addresses that are known', () => {
  it('are refreshed behind the callers’ backs after half a minute', () => {
    const clock = advanceableClock();
    found('refreshed.example', '192.0.2.1');
    clock.advance(29_000);
    ask('refreshed.example');
    expect(hosts).toEqual([]);
    clock.advance(1_001);
    for (let n = 0; n < 3; n++) expect(ask('refreshed.example').results).toEqual([['192.0.2.1']]);
    expect(hosts).toEqual(['refreshed.example']);
    asked[0]?.answer('192.0.2.2');
    expect(ask('refreshed.example').results).toEqual([['192.0.2.2']]);
    expect(hosts).toHaveLength(1);
  });

  it('are used for ten minutes while refreshing them fails, then waited for', () => {
    const clock = advanceableClock();
    found('old.example', '192.0.2.1');
    clock.advance(599_000);
    for (let n = 0; n < 3; n++) {
      expect(ask('old.example').results).toEqual([['192.0.2.1']]);
      asked[0]?.fail();
    }
    expect(hosts).toHaveLength(3);
    clock.advance(1_001);
    const caller = ask('old.example');
    expect(caller.results).toEqual([]);
    asked[0]?.answer('192.0.2.2');
    expect(caller.results).toEqual([['192.0.2.2']]);
  });

  it('are not refreshed by lookups that queue: nobody waits for them', () => {
    const clock = advanceableClock();
    found('idle.example', '192.0.2.1');
    clock.advance(30_001);
    ask('busy.example');
    expect(ask('idle.example').results).toEqual([['192.0.2.1']]);
    asked[0]?.answer('192.0.2.9');
    expect([asked, hosts]).toEqual([[], ['busy.example']]);
    ask('idle.example');
    expect(hosts).toEqual(['busy.example', 'idle.example']);
  });

  it('are asked for again when none of them could be reached', () => {
    found('moved.example', '192.0.2.1');
    forgetAddresses('moved.example');
    const caller = ask('moved.example');
    expect([caller.results, hosts]).toEqual([[], ['moved.example']]);
  });

  it('begin with the one that has answered, until they are looked up again', () => {
    found('preferred.example', '192.0.2.1', '192.0.2.2', '192.0.2.3');
    preferAddress('preferred.example', '192.0.2.2');
    expect(ask('preferred.example').results).toEqual([['192.0.2.2', '192.0.2.1', '192.0.2.3']]);
    preferAddress('preferred.example', '192.0.2.2');
    preferAddress('preferred.example', '198.51.100.1');
    preferAddress('unknown.example', '192.0.2.2');
    expect(ask('preferred.example').results).toEqual([['192.0.2.2', '192.0.2.1', '192.0.2.3']]);
    expect(ask('unknown.example').results).toEqual([]);
  });

  it('are not taken for younger because one of them has answered', () => {
    const clock = advanceableClock();
    found('aging.example', '192.0.2.1', '192.0.2.2');
    clock.advance(30_001);
    preferAddress('aging.example', '192.0.2.2');
    ask('aging.example');
    expect(hosts).toEqual(['aging.example']);
  });

  it('are those of the hundred hosts that were asked for last', () => {
    for (let n = 0; n <= 100; n++) found(`host${n}.example`, '192.0.2.1');
    expect([ask('host1.example').results.length, ask('host0.example').results.length]).toEqual([1, 0]);
  });
});
