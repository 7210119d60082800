import express from 'express';
import { runChaos } from './chaos';
import { verdictsOfService } from './chaos-verdicts';

const isExpress4 = 'lazyrouter' in express.application;

describe('a site whose DCS fails in every way', () => {
  it('serves every page, to each visitor their own segments or none', async () => {
    const report = await runChaos({ seconds: 6, seed: 42, express: isExpress4 ? 'express4' : 'express' });
    expect(verdictsOfService(report).filter(({ isMet }) => !isMet)).toEqual([]);
    // The faults did happen.
    const kinds = ['latency', 'hang', 'reset', 'status', 'truncate', 'huge', 'malformed', 'body', 'drip', 'none'];
    expect(Object.keys(report.faults).sort()).toEqual(kinds.sort());
    const met = (status: string) => Object.keys(report.statuses).some((each) => each.startsWith(status));
    expect(['fresh', 'cached', 'stale', 'unknown', 'anonymous', 'excluded'].filter((status) => !met(status))).toEqual(
      [],
    );
  }, 120_000);
});
