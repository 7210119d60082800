/** Owns: how an instance joins its fleet. */
import { PROCESS_CLOCK } from '../dcs/flow/clock';
import { type FleetScope, fleetKeysOf } from './fleet-keys';
import type { SharedStore } from './shared-store';
import { SharedTier, type StatusListener } from './shared-tier';
import { warnOfOutages } from './status-warnings';

export interface FleetMember extends FleetScope {
  readonly store: SharedStore;
  readonly keySecret: string;
  readonly timeoutMs: number;
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
}

/** A call has its lock while it waits for a socket and while it runs, for as long as it may take each; and some time to spare. */
const LOCK_MARGIN_MS = 250;

/** The tier, and the secret with which the keys of visitors are to be made. */
export function joinFleet(member: FleetMember, statusChanged: StatusListener): { tier: SharedTier; keySecret: string } {
  const { store, timeoutMs, ttlMs, staleWhileRevalidateMs, staleIfErrorMs } = member;
  const { keySecret, channel } = fleetKeysOf(member.keySecret, member);
  const lockMs = 2 * timeoutMs + LOCK_MARGIN_MS;
  const keepMs = Math.max(ttlMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs), 2 * lockMs);
  return {
    tier: new SharedTier({ store, channel, lockMs, keepMs }, PROCESS_CLOCK, warnOfOutages(statusChanged)),
    keySecret,
  };
}
