import { randomBytes } from 'node:crypto';
import { createDcsSimulator, type DcsOrigins } from 'express-aam-segments/testing';
import { CRM_SOURCE, CUSTOMERS } from './customers';
import { PERSONAS, type Persona } from './personas';

/** Audience Manager on this machine, and the personas that it knows. */
export interface Simulation {
  readonly orgId: string;
  readonly partner: string;
  /** Where it listens: the `dcs` option of the middleware. */
  readonly dcs: DcsOrigins;
  /** Makes a persona known. Returns the ECID that they come with; `undefined` for somebody without one. */
  introduce(persona: Persona): string | undefined;
  close(): Promise<void>;
}

export async function startSimulation(): Promise<Simulation> {
  const partner = 'acme';
  const simulator = await createDcsSimulator({ partner, segmentIds: true });

  function introduce(persona: Persona): string | undefined {
    const ecid = persona.ecid === 'another' ? newEcid() : persona.ecid;
    if (ecid === undefined) return undefined;
    simulator.visitor(ecid).in(...(persona.segments ?? []));
    if (persona.fault !== undefined) simulator.fault(persona.fault, { visitor: ecid });
    return ecid;
  }

  // A browser may still have the cookie of a persona from the last time that the shop was open.
  for (const persona of PERSONAS) introduce(persona);
  for (const { id, segments } of CUSTOMERS) simulator.customer(CRM_SOURCE, id).in(...segments);

  return {
    orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
    partner,
    dcs: simulator.dcs,
    introduce,
    // Unlike a test, a visit does not have to meet every fault that is set.
    close: () => simulator.close({ unusedFaults: 'ignore' }),
  };
}

/** An Experience Cloud ID that nobody has had: two positive 64-bit numbers, 38 digits. */
function newEcid(): string {
  const half = () => String(randomBytes(8).readBigUInt64BE() >> 1n).padStart(19, '0');
  return half() + half();
}
