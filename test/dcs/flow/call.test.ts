import { newCall } from './new-call';

it('tells its observer of its end once, of the first', () => {
  const call = newCall('lookup');
  expect(call).toMatchObject({ phase: 'waiting', hasEnded: false, isProbe: false, isStranger: false });
  call.end({ isDropped: true });
  call.end({ failure: { reason: 'closed', message: 'late' } });
  expect([call.results, call.hasEnded]).toEqual([[{ isDropped: true }], true]);
});
