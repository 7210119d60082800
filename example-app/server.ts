import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createDcsClient } from 'express-aam-segments';
import { createAam, SEGMENTS } from './aam';
import type { Demo } from './demo';
import { PREVIEWABLE } from './experiments';
import { type SharedCache, sharedCache } from './shared-cache';
import { createShop } from './shop';
import { startSimulation } from './simulation';

const { AAM_ORG_ID, AAM_PARTNER, AAM_GOLF_FANS, AAM_HIGH_VALUE, PORT = '3000' } = process.env;
/** Adobe's default Edge domain, unless the datastream has its own. */
const { AAM_DATASTREAM, AAM_EDGE_DOMAIN = 'edge.adobedc.net' } = process.env;

/** Connects to the account in the environment; without one, to a simulator. */
async function connect(shared: SharedCache | undefined): Promise<Demo> {
  const cache = shared?.options;
  if (AAM_ORG_ID && AAM_PARTNER) {
    const segments = {
      golfFans: Number(AAM_GOLF_FANS ?? SEGMENTS.golfFans),
      highValue: Number(AAM_HIGH_VALUE ?? SEGMENTS.highValue),
    };
    const webSdk = AAM_DATASTREAM ? { datastreamId: AAM_DATASTREAM, edgeDomain: AAM_EDGE_DOMAIN } : undefined;
    return { orgId: AAM_ORG_ID, aam: createAam({ orgId: AAM_ORG_ID, partner: AAM_PARTNER, segments, cache }), webSdk };
  }
  if (AAM_ORG_ID || AAM_PARTNER) throw new Error('set both AAM_ORG_ID and AAM_PARTNER, or neither');
  if (AAM_DATASTREAM) throw new Error('AAM_DATASTREAM needs AAM_ORG_ID and AAM_PARTNER');
  const simulation = await startSimulation();
  const { orgId, partner, dcs } = simulation;
  const client = createDcsClient({ orgId, partner, dcs, segments: SEGMENTS });
  // A site has one secret for all its processes. Links of this shop end with it.
  const aam = createAam({ orgId, partner, dcs, cache, preview: { secret: randomBytes(32).toString('hex') } });
  return { orgId, aam, simulation, crm: { client, database: 'crm.sqlite' }, previews: { experiments: PREVIEWABLE } };
}

async function open(): Promise<void> {
  const shared = sharedCache(process.env);
  const demo = await connect(shared);
  const server = createShop(demo).listen(Number(PORT));
  await once(server, 'listening');

  async function close(): Promise<void> {
    server.close();
    server.closeAllConnections();
    await demo.aam.close();
    shared?.close();
    await demo.crm?.client.close();
    await demo.simulation?.close();
  }
  process.on('SIGINT', close).on('SIGTERM', close);

  const { port } = server.address() as AddressInfo;
  const source = demo.simulation ? 'a simulated Audience Manager' : `the segments of ${AAM_PARTNER}`;
  console.log(`The shop is open at http://localhost:${port}, with ${source}. Ctrl-C closes it.`);
}

open().catch((error: Error) => {
  console.error(`The shop cannot open: ${error.message}`);
  process.exit(1);
});
