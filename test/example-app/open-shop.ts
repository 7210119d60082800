import type { AamSegmentsOptions } from 'express-aam-segments';
import { type Aam, createAam } from '../../example-app/aam';
import { createShop } from '../../example-app/shop';
import { startSimulation } from '../../example-app/simulation';

export interface OpenShop {
  readonly app: ReturnType<typeof createShop>;
  readonly aam: Aam;
}

/** Waits for what a quick DCS answers on a machine that is busy. */
export const PATIENT = { maxWaitMs: 30_000 };

const open: (() => Promise<void>)[] = [];

/** The shop as `npm start` opens it, with a simulated Audience Manager; closed after the test. */
export async function openShop(options: Pick<AamSegmentsOptions, 'maxWaitMs' | 'cache'>): Promise<OpenShop> {
  const simulation = await startSimulation();
  const { orgId, partner } = simulation;
  const aam = createAam({ orgId, partner, dcs: { ...simulation.dcs, timeoutMs: 30_000 }, ...options });
  open.push(async () => {
    await aam.close();
    await simulation.close();
  });
  return { app: createShop({ aam, orgId, simulation }), aam };
}

export async function closeShops(): Promise<void> {
  for (const close of open.splice(0)) await close();
}

/** Whom Adobe's cookie names. */
export function ecidIn(cookies: string): string {
  const [, ecid] = /MCMID(?:%7C|\|)(\d{38})/.exec(cookies) ?? [];
  if (ecid === undefined) throw new Error('there is no ECID in these cookies');
  return ecid;
}
