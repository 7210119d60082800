/**
 * Owns: what the members of a fleet call their visitors and their channel. All that shapes an answer is in it, so that sites
 * which ask differently never share one, and nothing of it can be read there.
 */
import { createHmac } from 'node:crypto';

/** What shapes the answers of an instance. */
export interface FleetScope {
  readonly orgId: string;
  readonly partnerHost: string;
  readonly segmentIds: unknown;
  /** By cookie name, as plain data. */
  readonly destinations: ReadonlyMap<string, unknown>;
}

export interface FleetKeys {
  /** In the place of the site's secret: the keys of visitors are made with it, at the same cost as with that. */
  readonly keySecret: string;
  readonly channel: string;
}

export function fleetKeysOf(secret: string, { orgId, partnerHost, segmentIds, destinations }: FleetScope): FleetKeys {
  const formats = [...destinations].sort(([a], [b]) => (a < b ? -1 : 1));
  const scope = JSON.stringify([orgId, partnerHost, segmentIds, formats], (_key, value: unknown) =>
    value instanceof Set ? [...value].sort() : value,
  );
  const keySecret = createHmac('sha256', secret).update(scope).digest('base64url');
  return { keySecret, channel: createHmac('sha256', keySecret).update('channel').digest('base64url').slice(0, 22) };
}
