/** What was mended, by the numbers of issue 14 where it has one, and how to take it out again. */

const CALLS = 'dcs/dcs-calls.ts';
const EVENTS = 'dcs/flow/event-queue.ts';
const GATE = 'dcs/flow/origin-gate.ts';
const LANE = 'dcs/flow/visitor-lane.ts';
const BREAKER = 'dcs/flow/circuit-breaker.ts';
const HISTORY = 'dcs/flow/call-history.ts';
const LOADER = 'lookup/answer-loader.ts';
const RESOLVER = 'lookup/answer-resolver.ts';

export const MENDS = [
  mend('1 a call that ends lets the next event begin', GATE, '    this.#host.changed();\n    while (', '    while ('),
  mend(
    '1 an event that is dropped leaves its lane',
    CALLS,
    '        this.#lane.takeWaiting(event.key, (call) => call === event);\n',
    '',
  ),
  mend(
    '1 an event that ends leaves those that wait',
    CALLS,
    '      this.#events.left(call);\n      this.#events.ended',
    '      this.#events.ended',
  ),
  mend('1 an event that is dropped is rejected', CALLS, '        event.end({ isDropped: true });\n', ''),
  mend(
    '1 no more events wait than maxQueuedEvents',
    EVENTS,
    'else if (this.#queued > this.#config',
    'else if (this.#queued > 2 * this.#config',
  ),
  mend(
    '2 a refusal leaves no ghost in the queue of a gate',
    CALLS,
    '      for (const { gate } of this.#origins.all) gate.leave(call);\n',
    '',
  ),
  mend(
    '3 an opt-out is sent although a call is in flight',
    CALLS,
    "    const why = WITHDRAWN['opted-out'];\n    this.#rejectWaiting",
    "    const why = WITHDRAWN['opted-out'];\n    if (this.#lane.callsAbout(key).length > 0) {\n      this.#reject(call, why);\n      return call;\n    }\n    this.#rejectWaiting",
  ),
  mend(
    '3 an opt-out is not held by a breaker, a pause or a queue',
    CALLS,
    "    if (call.kind === 'lookup') {\n      this.#origins.forLookup",
    "    if (call.kind !== 'event') {\n      this.#origins.forLookup",
  ),
  mend(
    '3 close() does not end an opt-out in flight',
    CALLS,
    "this.#endAll(({ kind }) => kind === 'lookup');",
    'this.#endAll(() => true);',
  ),
  {
    name: '3 what waits to be told about who opts out is not',
    edits: [
      {
        file: CALLS,
        find: '    this.#rejectWaiting(key, why);\n    for (const other',
        replace: '    for (const other',
      },
      { file: LOADER, find: "    this.#dcs.abandon(calls, 'opted-out');\n", replace: '' },
    ],
  },
  mend(
    '3 an event that is turned away after an opt-out is not sent again',
    CALLS,
    'if (isForLater && !call.hasEnded && this.#isOptingOut(call.key)) {',
    'if (isForLater && !call.hasEnded && call.kind !== call.kind) {',
  ),
  mend(
    '3 an opt-out makes nobody known',
    CALLS,
    "if (call.kind !== 'opt-out') this.#events.answered(call.key);",
    'this.#events.answered(call.key);',
  ),
  mend(
    '4 nobody joins a lookup that is out of date',
    LOADER,
    'flight.variant === variant && !this.#isOutdated(flight);',
    'flight.variant === variant;',
  ),
  mend(
    '4 nobody joins an event that is out of date',
    LOADER,
    'return !this.#isOutdated(flight) && this.#dcs.isImminent(call);',
    'return this.#dcs.isImminent(call);',
  ),
  mend(
    '4 an event that was not sent makes nothing out of date',
    LOADER,
    "if (flight.call?.kind === 'event' && flight.call.phase === 'running') this",
    "if (flight.call?.kind === 'event') this",
  ),
  mend('4 an answer that is out of date is not stored', LOADER, '    if (!this.#isOutdated(flight)) {\n', '    {\n'),
  mend(
    '4 no event of a request from before a refusal',
    'lookup/send-event.ts',
    'if (resolver.hasWithdrawnSince(requestedAt, visitor)) {',
    'if (requestedAt < 0) {',
  ),
  mend(
    '4 consent that was pending when a refusal came',
    RESOLVER,
    'return this.#generations.isWithdrawn(this.#keys.allKeysOf(visitor), requestedAt);',
    'return requestedAt < 0 && this.#generations.isWithdrawn(this.#keys.allKeysOf(visitor), 0);',
  ),
  mend(
    '4 what the DCS has said outlives a refusal',
    'cache/answer-cache.ts',
    'const kept = present.filter(isFinal);',
    'const kept = present.filter(() => false);',
  ),
  mend(
    '4 a refusal ends what waits',
    RESOLVER,
    '    this.#outsideOfRequests(() => this.#loader.abandon(keys, reason));\n    this.#shared?.withdraw',
    '    void reason;\n    this.#shared?.withdraw',
  ),
  mend(
    '4 a refusal ends calls that name the visitor beside another id',
    LOADER,
    ', ...(this.#byOtherKey.get(key) ?? [])]',
    ']',
  ),
  mend(
    '4 an answer beside an id that has refused is out of date',
    RESOLVER,
    'visitor.customerIds !== undefined && !isFinal(known)',
    'visitor.customerIds !== undefined && validAtOf(known) < 0',
  ),
  mend(
    '5 a neutral probe leaves the breaker open',
    BREAKER,
    "if (outcome === 'success') {\n      this.#isOpen = false;",
    "if (outcome !== 'failure') {\n      this.#isOpen = false;",
  ),
  mend(
    '5 a neutral outcome is not counted',
    BREAKER,
    "if (outcome === 'neutral' || this.#limits === false) return false;\n    this.#window.add(outcome === 'failure');\n    // Calls from before it opened say nothing new about a server that is being left alone.\n    if (this.#isOpen || outcome === 'success')",
    "if (this.#limits === false) return false;\n    this.#window.add(outcome !== 'success');\n    if (this.#isOpen || outcome === 'success')",
  ),
  mend('5 one probe at a time', BREAKER, 'return !this.#isOpen || (!this.#isProbing && ', 'return !this.#isOpen || ('),
  mend(
    '6 joining comes before refusing',
    RESOLVER,
    'const found = running ?? this.#lookup(',
    'const found = this.#dcs.unavailable(key, visitor) ?? running ?? this.#lookup(',
  ),
  mend('6 being a probe belongs to the call', LOADER, 'return this.call?.isProbe ?? false;', 'return false;'),
  mend(
    '7 an event that is held back holds no page',
    CALLS,
    'if (gate.closedBecause !== undefined || gate.wouldProbe) return false;\n    return this.#history.unavailable(event.key) === undefined;',
    'return gate !== undefined;',
  ),
  mend(
    '7 an event that was turned away holds no page',
    CALLS,
    ' && this.#running.get(event)?.isForLater !== true;',
    ';',
  ),
  mend(
    '7 lookups overtake events that are held back',
    LANE,
    "        if (answer !== 'held') return;\n",
    '        return;\n',
  ),
  mend(
    '7 also where a probe closes the gate',
    GATE,
    '    this.#turnAwayAll(CIRCUIT_OPEN);\n    this.#host.changed();\n',
    '    this.#turnAwayAll(CIRCUIT_OPEN);\n',
  ),
  mend(
    '7 also where another event has been told first',
    EVENTS,
    "    if (!isOpen) return 'held';\n    line.isHeld = false;\n",
    "    line.isHeld = !isOpen;\n    if (!isOpen) return 'held';\n",
  ),
  mend(
    '7 events look again at the first opening',
    EVENTS,
    'if (line.cancelTimer !== undefined && line.timerAtMs <= atMs) return;',
    'if (line.cancelTimer !== undefined) return;',
  ),
  mend(
    '7 events look again when the stand-in opens',
    EVENTS,
    '[home.opensInMs, standIn.opensInMs].filter',
    '[home.opensInMs, standIn === home ? 0 : 0].filter',
  ),
  mend(
    '8 maxCallsPerMinute',
    HISTORY,
    'return this.#budgetFreeAtMs(sentAtMs, nowMs) > nowMs ? TOO_MANY_CALLS : undefined;',
    'return undefined;',
  ),
  mend(
    '8 a cooldown after a failed call',
    HISTORY,
    'if (cooldown !== undefined && nowMs < cooldown.untilMs) return',
    'if (cooldown !== undefined && nowMs < 0) return',
  ),
  mend(
    '8 an opt-out that fails does not shorten a cooldown',
    HISTORY,
    '    if (cooldown !== undefined && cooldown.untilMs >= untilMs) return;\n',
    '',
  ),
  mend(
    '8 no call about a denylisted id',
    CALLS,
    '        this.#history.denylist(key, failure.dcsCode as number);\n',
    '',
  ),
  mend(
    '9 those go first whose visitor has the most waiting',
    EVENTS,
    'this.#dropOldest(this.#mostCrowded());',
    'this.#dropOldest([...this.#waiting.values()][0] as Waiting);',
  ),
  mend(
    '9 of those strangers',
    EVENTS,
    '(strangers.size > 0 ? strangers : known)',
    '(known.size > 0 ? known : strangers)',
  ),
  mend('9 a stranger is one after a 429, too', EVENTS, 'isStranger: event.isStranger };', 'isStranger: false };'),
  mend(
    'a probe that is answered 429 lets nothing through',
    CALLS,
    "    if (reply.reason === 'rate-limited') gate.pause(reply.retryAfterMs);\n    gate.settle(call, outcomeOf(reply));\n",
    "    gate.settle(call, outcomeOf(reply));\n    if (reply.reason === 'rate-limited') gate.pause(reply.retryAfterMs);\n",
  ),
  mend(
    'an aborted call runs until its socket has closed',
    CALLS,
    '    running.exchange?.abort();\n',
    '    running.exchange?.abort();\n    this.#lane.leave(call);\n',
  ),
  mend(
    'what is queued has a deadline',
    GATE,
    '        this.leave(call);\n        this.#host.turnAway(call, WAITED_TOO_LONG);\n',
    '        this.leave(call);\n',
  ),
  mend(
    '7 events that wait for room at a stand-in look again, too',
    EVENTS,
    "    this.#setTimer(line, gates);\n    if (!isOpen) return 'held';\n",
    "    if (!isOpen) {\n      this.#setTimer(line, gates);\n      return 'held';\n    }\n",
  ),
  mend(
    'queued lookups are turned away when the probe is an event',
    GATE,
    '    if (call.isProbe) this.#closeForProbe();\n  }\n\n  /** What a call',
    '  }\n\n  /** What a call',
  ),
  mend('an exclusion is never stale', RESOLVER, 'const isFresh = isFinal(known) || ', 'const isFresh = '),
  mend(
    'what close() ends does not begin first',
    CALLS,
    '    const waiting = keys.flatMap((key) => this.#lane.takeWaiting(key, isMeant));\n    for (const call of waiting) this.#reject(call, CLOSED);\n    for (const key of keys) {\n',
    '    for (const key of keys) {\n      for (const call of this.#lane.takeWaiting(key, isMeant)) this.#reject(call, CLOSED);\n',
  ),
];

function mend(name, file, find, replace) {
  return { name, edits: [{ file, find, replace }] };
}
