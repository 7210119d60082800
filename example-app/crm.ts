import { existsSync } from 'node:fs';
import express, { type Router } from 'express';
import type { AamError, DcsClient } from 'express-aam-segments';
import type { Segment } from './aam';
import { type CrmStore, type ImportedCustomer, openStore } from './crm-store';
import { CRM_SOURCE, CUSTOMERS } from './customers';

export interface Crm {
  readonly client: DcsClient<Segment>;
  /** The file that the nightly import writes. It may not exist yet. */
  readonly database: string;
}

const MAX_WAIT_MS = 1_000;

/**
 * `GET /crm`: call-centre staff look up a customer. A real desk requires a login, and the customers' consent; this one has
 * fictitious customers.
 */
export function crmDesk({ client, database }: Crm): Router {
  const router = express.Router();
  router.get('/crm', async (req, res) => {
    const id = typeof req.query.customer === 'string' ? req.query.customer.trim() : '';
    res.set('Cache-Control', 'private, no-store');
    const known = CUSTOMERS.find((customer) => customer.id === id);
    const live = id === '' ? undefined : await liveSegments(client, id);
    res.status(live?.httpStatus ?? 200).render('crm', {
      page: { hero: { title: 'Customer desk', theme: 'plain' } },
      customers: CUSTOMERS.map((customer) => customer.id),
      id,
      known,
      live,
      lastNight: id === '' ? undefined : lastNight(database, id),
      labels: LABELS,
    });
  });
  return router;
}

interface Live {
  readonly httpStatus: number;
  readonly headline: string;
  readonly names: readonly string[];
  readonly ids: readonly string[];
  readonly facts: readonly (readonly [label: string, value: string])[];
}

async function liveSegments(client: DcsClient<Segment>, id: string): Promise<Live> {
  const none = { names: [], ids: [], facts: [] };
  try {
    const visitor = { customerIds: [{ integrationCode: CRM_SOURCE, id }] };
    const segments = await client.lookup(visitor, { maxWaitMs: MAX_WAIT_MS });
    if (segments.status === 'excluded') {
      return { ...none, httpStatus: 200, headline: `Excluded: ${segments.reason}` };
    }
    const { names, ids, region, transactionId, size } = segments;
    const headline = size === 0 ? 'In no segment' : `In ${size} ${size === 1 ? 'segment' : 'segments'}`;
    const facts = [
      ['Answered by', region === undefined ? 'not given' : `region ${region}`],
      ['Transaction', transactionId ?? 'not given'],
    ] as const;
    return { httpStatus: 200, headline, names: names.map((name) => LABELS[name]), ids, facts };
  } catch (error) {
    const { code } = error as AamError;
    if (code === 'ERR_AAM_INVALID_OPTION') return { ...none, httpStatus: 400, headline: 'Invalid customer number' };
    return { ...none, httpStatus: 503, headline: 'No answer from Audience Manager', facts: [['Code', code]] };
  }
}

const LABELS: Readonly<Record<Segment, string>> = { golfFans: 'Golf fans', highValue: 'High value' };

/** The customer as of the nightly import; `undefined` if it has not been run. */
function lastNight(database: string, id: string): ImportedCustomer | undefined {
  if (!existsSync(database)) return undefined;
  let store: CrmStore | undefined;
  try {
    store = openStore(database);
    return store.find(id);
  } catch {
    // Without SQLite, the desk shows live segments only.
    return undefined;
  } finally {
    store?.close();
  }
}
