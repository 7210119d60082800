/** What `express-aam-segments/testing` exports. */
export type { CustomerId } from './customer-ids';
export type { DcsParams } from './dcs-params';
export { createDcsSimulator, type DcsSimulator } from './dcs-simulator';
export type { Fault, FaultHandle, FaultScope } from './faults';
export { createMemoryStore, type MemoryStore } from './memory-store';
export type { DcsOrigins } from './origins';
export type { RateWindowLimit } from './rate-window';
export type { DcsRequest, ReceivedOptions } from './request-log';
export { type SegmentsStubOptions, type StubbedSegments, segmentsStub } from './segments-stub';
export { type SharedStoreCheck, sharedStoreChecks } from './shared-store-checks';
export type { DestinationDetails, SimulatedVisitor } from './simulated-visitor';
export type { DcsSimulatorOptions, OriginName, RateLimit } from './simulator-options';
