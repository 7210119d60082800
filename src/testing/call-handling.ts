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

/** What the origins of a simulator share. */
export interface SimulatorState {
  readonly config: SimulatorConfig;
  readonly visitors: VisitorBook;
  readonly faults: FaultBoard;
  readonly log: RequestLog;
}

/**
 * Handles the calls of one origin: read, log, decide the answer, apply faults, send. The answer is decided on arrival: a fault
 * changes what the client sees, not what the DCS did, and a delayed answer shows the state at arrival.
 */
export function handlerOf(origin: OriginName, { config, visitors, faults, log }: SimulatorState): OriginHandler {
  const region = origin === 'alias' ? config.aliasRegion : origin;
  const rate = new RateWindow(config.rateLimit);

  return async function handleCall(request, response) {
    if (!isLocalHost(request.headers.host)) {
      // A web page can have the name of its own site point to this machine.
      response.writeHead(421, { Connection: 'close', 'Content-Type': 'text/plain' });
      response.end('The simulator answers to hosts of demdex.net and of this machine.\n');
      return;
    }
    const call = await readCall(request);
    if (!call || response.destroyed) return;

    const id = deviceIdOf(call.params) ?? call.customerIds.map(customerKey)[0];
    const visitor = id === undefined ? undefined : visitors.find(id);
    // A customer who has logged out does not count.
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
      // The client may call again before this side of the connection emits 'close'.
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

/** Whether a call is meant for a DCS, or for this machine; one without a Host has an answer of its own. */
function isLocalHost(host: string | undefined): boolean {
  if (!host) return true;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  return /(?:^|\.)demdex\.net$|^localhost$|\.localhost$|^127(?:\.\d{1,3}){3}$|^\[::1\]$/.test(name);
}
