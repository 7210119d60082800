import type { AamSegmentsOptions } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { type Aam, createAam } from '../../example-app/aam';
import { PREVIEWABLE } from '../../example-app/experiments';
import { createShop } from '../../example-app/shop';
import { startSimulation } from '../../example-app/simulation';
import type { WebSdk } from '../../example-app/web-sdk';

export interface OpenShop {
  readonly app: ReturnType<typeof createShop>;
  readonly aam: Aam;
}

/** Waits long enough for a quick DCS on a busy machine. */
export const PATIENT = { maxWaitMs: 30_000 };

const open: (() => Promise<void>)[] = [];

/** The shop as `npm start` opens it, with a simulated Audience Manager; closed after the test. */
export async function openShop(options: Pick<AamSegmentsOptions, 'maxWaitMs' | 'cache'>): Promise<OpenShop> {
  const simulation = await startSimulation();
  const { orgId, partner } = simulation;
  const preview = { secret: 'a secret for tests, 32 characters or more' };
  const aam = createAam({ orgId, partner, dcs: { ...simulation.dcs, timeoutMs: 30_000 }, preview, ...options });
  open.push(async () => {
    await aam.close();
    await simulation.close();
  });
  return { app: createShop({ aam, orgId, simulation, previews: { experiments: PREVIEWABLE } }), aam };
}

export interface OpenLiveShop extends OpenShop {
  readonly simulator: DcsSimulator;
}

/** The shop with an organisation at Adobe and a page for the Web SDK, on a simulated DCS. */
export async function openLiveShop(orgId: string, webSdk?: WebSdk): Promise<OpenLiveShop> {
  const simulator = await createDcsSimulator({ partner: 'acme', segmentIds: true });
  const aam = createAam({ orgId, partner: 'acme', dcs: { ...simulator.dcs, timeoutMs: 30_000 }, ...PATIENT });
  open.push(async () => {
    await aam.close();
    await simulator.close();
  });
  return { app: createShop({ aam, orgId, webSdk }), aam, simulator };
}

export async function closeShops(): Promise<void> {
  for (const close of open.splice(0)) await close();
}

/** The ECID in Adobe's cookie. */
export function ecidIn(cookies: string): string {
  const [, ecid] = /MCMID(?:%7C|\|)(\d{38})/.exec(cookies) ?? [];
  if (ecid === undefined) throw new Error('there is no ECID in these cookies');
  return ecid;
}
