/** Owns: the names of the channels. Whoever publishes asks `hasSubscribers` first and builds the message only then. */
import { channel, tracingChannel } from 'node:diagnostics_channel';
import type { DcsCallMessage } from './messages';

export const requestChannel = channel('express-aam-segments:request');
export const decisionChannel = channel('express-aam-segments:request:decision');
export const dcsCallChannel = tracingChannel<unknown, DcsCallMessage>('express-aam-segments:dcs-call');
export const breakerChannel = channel('express-aam-segments:breaker');
export const eventChannel = channel('express-aam-segments:event');
export const sharedStoreChannel = channel('express-aam-segments:shared-store');
export const exposureChannel = channel('express-aam-segments:exposure');
