import { clearTimeout, setTimeout } from 'node:timers';
import { sendAnswer } from './answer-sending';
import { customerKey } from './customer-ids';
import { answerTo, type DcsAnswer, httpAnswer } from './dcs-answer';
import { deviceIdOf, readCall } from './dcs-call';
import type { FaultBoard } from './fault-board';
import type { OriginHandler } from './origins';
import { RateWindow } from './rate-window';
import type { RequestLog } from './request-log';
import type { OriginName, SimulatorConfig } from './simulator-options';
import type { VisitorBook } from './visitors';

/** What the origins of one simulator have in common. */
export interface SimulatorState {
  readonly config: SimulatorConfig;
  readonly visitors: VisitorBook;
  readonly faults: FaultBoard;
  readonly log: RequestLog;
}

/**
 * The way of a call through one origin: read it, log it, decide the answer, meet the faults, send. The answer is
 * decided on arrival: a fault changes what the client sees, not what the DCS did, and a late answer is an old one.
 */
export function handlerOf(origin: OriginName, { config, visitors, faults, log }: SimulatorState): OriginHandler {
  const region = origin === 'alias' ? config.aliasRegion : origin;
  const rate = new RateWindow(config.rateLimit);

  return async function handleCall(request, response) {
    const call = await readCall(request);
    if (!call || response.destroyed) return;

    const id = deviceIdOf(call.params) ?? call.customerIds.map(customerKey)[0];
    const visitor = id === undefined ? undefined : visitors.find(id);
    // Who has logged out is the device's visitor only.
    const customers = call.customerIds.filter(({ authState }) => authState !== 2);
    const customerProfiles = customers.map((customer) => visitors.find(customerKey(customer)));
    const entry = log.add(call, origin, visitor?.id);
    response.once('finish', () => log.end(entry));
    response.once('close', () => log.end(entry));

    const isAdmitted = rate.take();
    if (isAdmitted) visitor?.countCall();
    const answer = isAdmitted
      ? answerTo({ call, visitor, customers: customerProfiles, region, config })
      : tooManyRequests(config);
    const { latencyMs, fault, kind } = faults.meet(entry);
    if (kind) entry.fault = kind;
    const send = () => {
      sendAnswer(response, answer, fault);
      if (response.headersSent) entry.answeredStatus = response.statusCode;
      // The client may know, and call again, before our own side of the connection says that it is closed.
      if (fault?.kind === 'reset') log.end(entry);
    };
    if (latencyMs === 0) return send();
    const timer = setTimeout(send, latencyMs);
    response.once('close', () => clearTimeout(timer));
  };
}

function tooManyRequests({ retryAfterSeconds }: SimulatorConfig): DcsAnswer {
  return httpAnswer(429, retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) });
}
