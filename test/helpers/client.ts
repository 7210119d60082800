import { createDcsClient, type DcsClient, type DcsClientOptions } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator, type DcsSimulatorOptions } from 'express-aam-segments/testing';
import { createInternalClient } from '../../src/dcs-client';
import { GOLF, HIGH_VALUE, ORG } from './site';

export const OTHER_ECID = '91563127448770346027793623225009407783';

type Name = 'golfFans' | 'highValue';
const open: { close(): Promise<void> }[] = [];

/** A client on a DCS simulator, both closed by {@link closeClients}. */
export async function createClient(
  options: Partial<DcsClientOptions<Name>> = {},
  simulatorOptions?: DcsSimulatorOptions,
): Promise<{ client: DcsClient<Name>; simulator: DcsSimulator }> {
  const simulator = await createDcsSimulator({ segmentIds: true, ...simulatorOptions });
  const client = createDcsClient(optionsOn(simulator, options));
  open.push(client, simulator);
  return { client, simulator };
}

/** The same with `lookupMany()` as the command line uses it. */
export async function createClientOfBulk() {
  const simulator = await createDcsSimulator({ segmentIds: true });
  const { client, lookupMany } = createInternalClient(optionsOn(simulator, {}));
  open.push(client, simulator);
  return { client, lookupMany, simulator };
}

function optionsOn(
  simulator: DcsSimulator,
  { dcs, ...options }: Partial<DcsClientOptions<Name>>,
): DcsClientOptions<Name> {
  return {
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: GOLF, highValue: HIGH_VALUE },
    dcs: { ...simulator.dcs, timeoutMs: 5_000, ...dcs },
    ...options,
  };
}

/** Closes all clients of a test. A fault that no call met makes the test fail. */
export async function closeClients(): Promise<void> {
  for (const each of open.splice(0)) await each.close();
}
