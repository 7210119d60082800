import { randomBytes } from 'node:crypto';
import { createDcsSimulator, type DcsOrigins } from 'express-aam-segments/testing';
import { CRM_SOURCE, CUSTOMERS } from './customers';
import { PERSONAS, type Persona } from './personas';

/** A simulated Audience Manager with the personas. */
export interface Simulation {
  readonly orgId: string;
  readonly partner: string;
  /** Its origins: the `dcs` option of the middleware. */
  readonly dcs: DcsOrigins;
  /** Adds a persona. Returns their ECID; `undefined` for one without. */
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

  // A browser may still have the cookie of a persona from an earlier run.
  for (const persona of PERSONAS) introduce(persona);
  for (const { id, segments } of CUSTOMERS) simulator.customer(CRM_SOURCE, id).in(...segments);

  return {
    orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
    partner,
    dcs: simulator.dcs,
    introduce,
    // Unlike in a test, faults may remain unused.
    close: () => simulator.close({ unusedFaults: 'ignore' }),
  };
}

/** A random ECID: two positive 64-bit numbers, 38 digits. */
function newEcid(): string {
  const half = () => String(randomBytes(8).readBigUInt64BE() >> 1n).padStart(19, '0');
  return half() + half();
}
