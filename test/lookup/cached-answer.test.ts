import { CachedAnswer } from '../../src/lookup/cached-answer';

it.each([
  ['segments are for what was asked, until the visitor withdraws consent, and better stale than none', false],
  ['an exclusion is for whatever is asked, whatever the visitor does, until it ends', true],
])('%s', (_what, isExclusion) => {
  const about = { region: 7, transactionId: 't', cookieRegion: 9, ttlMs: 60_000 };
  const set = { ids: '1', values: undefined, destinations: undefined };
  const answer = isExclusion ? CachedAnswer.exclusion('refused', 9, 60_000) : CachedAnswer.segments(set, about);
  expect([answer.answersAll, answer.outlivesWithdrawal, answer.keptStale]).toEqual([
    isExclusion,
    isExclusion,
    !isExclusion,
  ]);
  expect(answer).toMatchObject({ cookieRegion: 9, ttlMs: 60_000, excluded: isExclusion ? 'refused' : undefined });
});
