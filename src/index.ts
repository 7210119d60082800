export { aamBootstrap, type BootstrapData, type BootstrapOptions } from './bootstrap/aam-bootstrap';
export type {
  BreakerMessage,
  ConsentSignal,
  DcsCallMessage,
  DecisionMessage,
  EventMessage,
  ExposureMessage,
  IdSource,
  RequestMessage,
  SharedStoreMessage,
} from './channels/messages';
export type { ConsentExplanation, ConsentFinding } from './consent/explanation';
export type { TcfMode } from './consent/tcf';
export type { DcsDispatcher } from './dcs/connections';
export type { BreakerState } from './dcs/flow/circuit-breaker';
export type { EventStats } from './dcs/flow/event-queue';
export type { OriginStats } from './dcs/flow/origin-gate';
export type { FailureReason } from './dcs/protocol/dcs-error';
export type { Exclusion } from './dcs/protocol/error-codes';
export type { SegmentIds } from './dcs/protocol/request';
export type { Signals, SignalValue } from './dcs/protocol/signals';
export { createDcsClient, type DcsClient, type DcsClientStats } from './dcs-client';
export { AamError, type AamErrorCode } from './errors';
export type { AssignmentReason, Experiment, ExperimentAssignment, Exposure } from './experiments/experiment';
export type {
  ExperimentAudience,
  ExperimentHoldout,
  ExperimentOptions,
  ExperimentUnit,
} from './experiments/experiment-options';
export type { Register, RegisteredName } from './express';
export type { AuthState, CustomerId } from './identity/customer-ids';
export type { Visitor, VisitorId } from './identity/visitor';
export type { LookupManyOptions, LookupResult } from './lookup/lookup-many';
export type { LookupOptions } from './lookup/lookup-visitor';
export type { SendEventOptions } from './lookup/send-event';
export { type AamSegments, type AamStats, aamSegments } from './middleware';
export type {
  AamSegmentsOptions,
  CacheOptions,
  ConsentOptions,
  ExperimentsOptions,
  IdentityOptions,
  PreviewOptions,
  PrivacyOptions,
  StickyCookieOptions,
} from './options/aam-segments-options';
export type { ClientCacheOptions } from './options/client-cache-options';
export type { BreakerOptions, DcsClientOptions, DcsOptions } from './options/dcs-client-options';
export type { PreviewLinkOptions } from './preview/preview-options';
export { type Guard, type RequireSegmentOptions, requireSegment } from './routing/require-segment';
export {
  routeBySegment,
  type SegmentHandlers,
  type SegmentRouter,
  type SegmentRoutes,
} from './routing/route-by-segment';
export type { SegmentRequiredError } from './routing/segment-required';
export type { DestinationFormat } from './segments/destination-values';
export type { SegmentId, SegmentRef } from './segments/segment-refs';
export type { ActivePreview, SegmentReason, SegmentStatus } from './segments/served-answer';
export type { VisitorSegments } from './segments/visitor-segments';
export type {
  AnswerToStore,
  Claim,
  Claimed,
  Ending,
  Invalidation,
  Refill,
  SharedStore,
  StoredAnswer,
  StoreFailure,
  StoreListener,
  StoreMessage,
  StoreReading,
  StoreSubscription,
} from './shared-tier/shared-store';
export type { SharedStats, SharedStatus } from './shared-tier/shared-tier';
