import { AsyncLocalStorage } from 'node:async_hooks';
import { type CallTrace, DcsPublisher } from '../../src/channels/dcs-publisher';
import { published, stopWatching, watch } from './watch';

afterEach(stopWatching);

const origin = new URL('https://usw2.demdex.net');

describe('a publisher', () => {
  it('asks nobody anything where nobody has subscribed', () => {
    const asked = jest.fn();
    const publisher = new DcsPublisher(asked);
    publisher.event('sent');
    publisher.breaker(asked);
    expect(publisher.call('lookup', 9, origin, asked)).toBeUndefined();
    expect(asked).not.toHaveBeenCalled();
  });

  it('publishes in the async context that it was made in, and the first outcome of a call', async () => {
    const contexts = new AsyncLocalStorage<string>();
    const publisher = new DcsPublisher(() => publisher);
    const { calls, events } = watch();
    let nowMs = 10.4;
    const seen = contexts.run('of a request', () => {
      publisher.event('failed');
      const trace = publisher.call('event', undefined, origin, () => nowMs) as CallTrace;
      const context = trace.send(() => contexts.getStore());
      nowMs = 15.6;
      trace.settled('neutral', 'rate-limited');
      trace.settled('neutral', 'closed');
      trace.released();
      return context;
    });
    expect([seen, events]).toEqual([undefined, []]);
    await published();
    expect(events).toMatchObject([{ outcome: 'failed' }]);
    expect(calls.at(-1)).toMatchObject(['asyncEnd', { reason: 'rate-limited', durationMs: 5 }]);
  });
});
