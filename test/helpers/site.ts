import { performance } from 'node:perf_hooks';
import express, { type Express } from 'express';
import { type AamSegments, type AamSegmentsOptions, aamSegments } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator, type DcsSimulatorOptions } from 'express-aam-segments/testing';
import request from 'supertest';

export const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
export const ECID = '20265673158980419722735089753036633573';
export const GOLF = 984263;
export const HIGH_VALUE = 985264;

/** The Cookie header of a visitor as Adobe's client writes it. @param region `null` for none */
export function cookieOf(ecid: string, region: number | null = 9, optOut = 'NONE'): string {
  const hint = region === null ? '' : `|MCAAMLH-1796038911|${region}`;
  const value = `179643557|MCIDTS|20781|MCMID|${ecid}${hint}|MCOPTOUT-1795441311s|${optOut}|vVersion|5.5.0`;
  return `AMCVS_${encodeURIComponent(ORG)}=1; AMCV_${encodeURIComponent(ORG)}=${encodeURIComponent(value)}`;
}

export interface Site {
  readonly app: Express;
  readonly aam: AamSegments<'golfFans' | 'highValue'>;
  readonly simulator: DcsSimulator;
  /** Views a page with this Cookie header. Resolves to the content of req.aamSegments. */
  view(cookie?: string, path?: string): Promise<Record<string, unknown>>;
}

interface SiteOptions extends Partial<AamSegmentsOptions<'golfFans' | 'highValue'>> {
  readonly simulator?: DcsSimulatorOptions;
}

const open: (() => Promise<void>)[] = [];

/** An Express site on a DCS simulator, both closed by {@link closeSites}. `GET /` answers with the content of req.aamSegments. */
export async function createSite({ simulator: simulatorOptions, dcs, ...options }: SiteOptions = {}): Promise<Site> {
  const simulator = await createDcsSimulator({ segmentIds: true, ...simulatorOptions });
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: GOLF, highValue: HIGH_VALUE },
    // Long, so that tests pass on a busy machine; tests of the wait set their own.
    maxWaitMs: 5_000,
    dcs: { ...simulator.dcs, timeoutMs: 5_000, ...dcs },
    ...options,
  });
  open.push(async () => {
    await aam.close();
    await simulator.close();
  });
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => {
    const { status, reason, ids, names, ageMs, region, destinations } = req.aamSegments;
    res.json({ status, reason, ids, names, ageMs, region, destinations });
  });
  return {
    app,
    aam,
    simulator,
    async view(cookie = cookieOf(ECID), path = '/') {
      const response = await request(app).get(path).set('Cookie', cookie);
      return response.body;
    },
  };
}

/** Closes all sites of a test. A fault that no call met makes the test fail. */
export async function closeSites(): Promise<void> {
  for (const close of open.splice(0)) await close();
}

/** Can set the monotonic clock forward, until jest.restoreAllMocks(). */
export function advanceableClock(): { advance(ms: number): void } {
  const real = performance.now.bind(performance);
  let aheadMs = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => real() + aheadMs);
  return {
    advance(ms) {
      aheadMs += ms;
    },
  };
}
