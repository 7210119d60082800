import { PROCESS_CLOCK } from '../../../src/dcs/flow/clock';

describe('the clock of the process', () => {
  let timeouts: jest.SpyInstance<NodeJS.Timeout>;
  beforeEach(() => {
    timeouts = jest.spyOn(globalThis, 'setTimeout');
  });
  afterEach(() => jest.restoreAllMocks());

  const timers = () => timeouts.mock.results.map(({ value }) => value as NodeJS.Timeout);
  const delays = () => timeouts.mock.calls.map(([, delayMs]) => delayMs);

  it('keeps the process alive where it is told to, until it is cancelled', () => {
    const cleared = jest.spyOn(globalThis, 'clearTimeout');
    const cancels = [true, false].map((keepsAlive) => PROCESS_CLOCK.after(1_000, () => {}, keepsAlive));
    expect(timers().map((timer) => timer.hasRef())).toEqual([true, false]);
    for (const cancel of cancels) cancel();
    expect(cleared.mock.calls.flat()).toEqual(timers());
  });

  it('waits no shorter than it is told to, and no longer than a timer can', () => {
    for (const delayMs of [-5, 1.2, 1e12]) PROCESS_CLOCK.after(delayMs, () => {}, false)();
    expect(delays()).toEqual([0, 2, 2_147_483_647]);
  });

  it('calls back when the time is over, to the millisecond', async () => {
    const startMs = PROCESS_CLOCK.nowMs();
    await new Promise<void>((resolve) => PROCESS_CLOCK.after(5, resolve, true));
    expect(PROCESS_CLOCK.nowMs()).toBeGreaterThanOrEqual(startMs + 4);
  });
});
