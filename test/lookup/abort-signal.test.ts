import { getEventListeners } from 'node:events';
import { onAbort } from '../../src/lookup/abort-signal';

describe('onAbort()', () => {
  it('calls everybody back with the reason, once', () => {
    const controller = new AbortController();
    const [first, second] = [jest.fn(), jest.fn()];
    onAbort(controller.signal, first);
    onAbort(controller.signal, second);
    const reason = new Error('enough');
    controller.abort(reason);
    controller.abort();
    expect([first.mock.calls, second.mock.calls]).toEqual([[[reason]], [[reason]]]);
  });

  it('does not call back whoever has taken the callback back, before or meanwhile', () => {
    const controller = new AbortController();
    const [kept, taken, takenMeanwhile] = [jest.fn(), jest.fn(), jest.fn()];
    const takeBack = onAbort(controller.signal, taken);
    onAbort(controller.signal, () => takeBackMeanwhile());
    const takeBackMeanwhile = onAbort(controller.signal, takenMeanwhile);
    onAbort(controller.signal, kept);
    takeBack();
    takeBack();
    controller.abort();
    expect([kept, taken, takenMeanwhile].map(({ mock }) => mock.calls.length)).toEqual([1, 0, 0]);
  });

  it('has one listener on a signal for a thousand who wait, and does not mix signals up', () => {
    const [controller, other] = [new AbortController(), new AbortController()];
    const listen = jest.spyOn(controller.signal, 'addEventListener');
    const callbacks = Array.from({ length: 1_000 }, () => jest.fn());
    for (const callback of callbacks) onAbort(controller.signal, callback);
    const others = jest.fn();
    onAbort(other.signal, others);
    expect(listen).toHaveBeenCalledTimes(1);
    controller.abort();
    expect(callbacks.every(({ mock }) => mock.calls.length === 1)).toBe(true);
    expect(others).not.toHaveBeenCalled();
  });

  it('leaves no listener when all have taken their callbacks back, and begins anew after that', () => {
    const controller = new AbortController();
    const { signal } = controller;
    for (let round = 0; round < 20; round++) {
      const takeBack = [1, 2, 3].map(() => onAbort(signal, jest.fn()));
      expect(getEventListeners(signal, 'abort')).toHaveLength(1);
      for (const each of takeBack) each();
      for (const each of takeBack) each();
      expect(getEventListeners(signal, 'abort')).toEqual([]);
      // Once more, after others have begun to wait.
      const later = [onAbort(signal, jest.fn())];
      for (const each of takeBack) each();
      later.push(onAbort(signal, jest.fn()));
      expect(getEventListeners(signal, 'abort')).toHaveLength(1);
      for (const each of later) each();
    }
    const called = jest.fn();
    onAbort(signal, called);
    controller.abort();
    expect(called).toHaveBeenCalledTimes(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
