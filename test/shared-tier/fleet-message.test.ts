import fc from 'fast-check';
import { beatText, messageText, readBeat, readMessage } from '../../src/shared-tier/fleet-message';

const MESSAGE = { kind: 'event-ended', key: 'a-key' } as const;

describe('a message between processes', () => {
  it('is read by others, with the stamp that the store adds, and not by its sender', () => {
    const text = `${messageText('one', MESSAGE)} 1234`;
    expect(readMessage(text, 'other')).toEqual(MESSAGE);
    expect(readMessage(text, 'one')).toBeUndefined();
  });

  it.each([
    '',
    '1',
    '2 one withdrawn a-key 1',
    '1 one exploded a-key 1',
    '1 one withdrawn',
    '1 one withdrawn  1',
    `1 one withdrawn ${'x'.repeat(500)} 1`,
  ])('is nothing if it is %j', (text) => {
    expect(readMessage(text, 'other')).toBeUndefined();
  });

  it('never throws, whatever somebody publishes', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        readMessage(text, 'other');
        readBeat(text, 'other');
      }),
    );
  });
});

describe('a sign of life', () => {
  it('is read by its sender only, with the moment and the name of the memory', () => {
    const text = `${beatText('one', 1_234.5)} memory-1`;
    expect(readBeat(text, 'one')).toEqual({ atMs: 1_234, memory: 'memory-1' });
    expect(readBeat(text, 'other')).toBeUndefined();
    expect(readBeat('1 one beat soon memory-1', 'one')).toBeUndefined();
    expect(readBeat('1 one beat', 'one')).toBeUndefined();
    expect(readMessage(text, 'other')).toBeUndefined();
  });
});
