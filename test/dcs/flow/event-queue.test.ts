import type { Call } from '../../../src/dcs/flow/call';
import { type EventGates, EventQueue } from '../../../src/dcs/flow/event-queue';
import { FakeClock } from './fake-clock';
import { newCall } from './new-call';

/** What an event queue sees of a gate. */
class Gate {
  room = 0;
  isClosed = false;
  opensInMs = 0;

  get hasRoomForEvent() {
    return this.room > 0;
  }

  get closedBecause() {
    return this.isClosed ? { reason: 'rate-limited', message: '' } : undefined;
  }

  closeFor(ms: number) {
    this.isClosed = true;
    this.opensInMs = ms;
  }

  open() {
    this.isClosed = false;
    this.opensInMs = 0;
  }
}

/** A queue whose visitors have lanes in which nothing but events waits, and gates that the test opens and closes. */
function setup({ maxQueuedEvents = 1_000 } = {}) {
  const clock = new FakeClock();
  const home = new Gate();
  /** By region. */
  const gates = new Map<number | undefined, Gate>([[undefined, home]]);
  const instead = new Map<Gate, Gate>();
  const lanes = new Map<string, Call[]>();
  const busy = new Set<string>();
  const begun: string[] = [];
  const dropped: Call[] = [];
  const advanced: string[] = [];
  const onBegin = jest.fn();
  const queue: EventQueue = new EventQueue({ maxQueuedEvents }, clock, {
    gatesFor: ({ region }) => {
      const gate = gates.get(region) as Gate;
      const standIn = instead.get(gate) ?? gate;
      return { home: gate, standIn, target: standIn } as unknown as EventGates;
    },
    advance: (key) => {
      advanced.push(key);
      advance(key);
    },
    drop: (event) => {
      dropped.push(event);
      lanes.set(
        event.key,
        (lanes.get(event.key) ?? []).filter((each) => each !== event),
      );
    },
  });
  const advance = (key: string) => {
    const [first] = lanes.get(key) ?? [];
    if (first === undefined || busy.has(key) || queue.offer(first) !== 'begin') return;
    lanes.get(key)?.shift();
    queue.left(first);
    const gate = gates.get(first.region) as Gate;
    (instead.get(gate) ?? gate).room--;
    begun.push(key);
    onBegin();
  };
  const add = (key: string, { isStranger = false, region = undefined as number | undefined } = {}) => {
    const event = newCall('event', key, region);
    const lane = lanes.get(key) ?? [];
    lanes.set(key, [...lane, event]);
    if (lane.length === 0) advance(key);
    if (lanes.get(key)?.includes(event)) queue.add(event, isStranger);
    return event;
  };
  return { clock, home, gates, instead, queue, lanes, busy, begun, dropped, advanced, onBegin, add };
}

describe('when too many events wait', () => {
  it('the oldest of the visitor with the most waiting goes', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 5 });
    const [, b] = [add('a'), add('b'), add('b'), add('c'), add('b')];
    add('d');
    expect([dropped, queue.stats().queued]).toEqual([[b], 5]);
  });

  it('that may be the visitor who has just sent one', () => {
    const { dropped, add } = setup({ maxQueuedEvents: 3 });
    const first = add('a');
    for (const key of ['a', 'b', 'a']) add(key);
    expect(dropped).toEqual([first]);
  });

  it('of visitors with as many those go first who were never answered about, then who have waited longest', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 4 });
    add('known');
    add('invented 1', { isStranger: true });
    add('invented 2', { isStranger: true });
    add('other');
    queue.answered('invented 1');
    queue.answered('nobody');
    for (const key of ['x', 'y', 'z']) add(key);
    expect(dropped.map(({ key }) => key)).toEqual(['invented 2', 'known', 'other']);
  });

  it('a flood of invented visitors pushes out nobody but one another', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 100 });
    for (let n = 0; n < 50; n++) add(`real ${n}`);
    for (let n = 0; n < 1_000; n++) add(`invented ${n}`, { isStranger: true });
    expect(dropped).toHaveLength(950);
    expect(dropped.every(({ key }) => key.startsWith('invented'))).toBe(true);
    expect(queue.stats().queued).toBe(100);
  });

  it('no visitor has more than 50, however much room there is: the oldest goes', () => {
    const { queue, dropped, add } = setup();
    const events = Array.from({ length: 52 }, () => add('a'));
    add('b');
    expect([dropped, queue.stats().queued]).toEqual([events.slice(0, 2), 51]);
  });

  it('an event that has to wait again is the oldest of its visitor, and counts', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 3 });
    for (const key of ['a', 'a', 'b']) add(key);
    const again = newCall('event', 'a');
    queue.addAgain(again);
    expect([dropped, queue.stats().queued]).toEqual([[again], 3]);
    queue.left(again);
    expect(queue.stats().queued).toBe(3);
  });

  it('an event that has to wait again is not taken for one of an invented visitor', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 2 });
    queue.addAgain(newCall('event', 'a'));
    for (const key of ['b', 'c']) add(key, { isStranger: true });
    expect(dropped.map(({ key }) => key)).toEqual(['b']);
  });

  it('an event that has to wait again can leave again', () => {
    const { queue } = setup();
    const again = newCall('event', 'a');
    queue.addAgain(again);
    queue.left(again);
    expect(queue.stats().queued).toBe(0);
  });

  it('a visitor of whom no event waits any more is judged anew', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 2 });
    queue.left(add('a', { isStranger: true }));
    add('a');
    add('b', { isStranger: true });
    add('c', { isStranger: true });
    expect(dropped.map(({ key }) => key)).toEqual(['b']);
  });

  it('those who have left are not counted, and leave once', () => {
    const { queue, dropped, add } = setup({ maxQueuedEvents: 2 });
    const [a] = [add('a'), add('a')];
    queue.left(a);
    queue.left(a);
    expect(queue.stats().queued).toBe(1);
    add('b');
    expect(dropped).toEqual([]);
    add('c');
    // Visitor a has one now, and has had it for the longest time.
    expect(dropped.map(({ key }) => key)).toEqual(['a']);
  });
});

describe('stats().events', () => {
  it('counts how events ended', () => {
    const { queue } = setup();
    for (const how of ['sent', 'sent', 'sent', 'failed', 'failed', 'dropped'] as const) queue.ended(how);
    expect(queue.stats()).toEqual({ queued: 0, sent: 3, failed: 2, dropped: 1 });
  });
});

describe('events that wait for room', () => {
  it('begin in the order in which they came, as many as there is room for', () => {
    const { home, queue, begun, clock, add } = setup();
    for (const key of ['a', 'b', 'c', 'd']) add(key);
    expect(begun).toEqual([]);
    home.room = 2;
    queue.pump();
    expect([begun, queue.stats().queued]).toEqual([['a', 'b'], 2]);
    home.room = 9;
    queue.pump();
    queue.pump();
    expect([begun, queue.stats().queued, clock.pending]).toEqual([['a', 'b', 'c', 'd'], 0, 0]);
  });

  it('are not overtaken by one that has come later when there is room', () => {
    const { home, queue, begun, add } = setup();
    add('a');
    home.room = 1;
    add('b');
    expect(begun).toEqual([]);
    queue.pump();
    expect(begun).toEqual(['a']);
    home.room = 1;
    queue.pump();
    home.room = 1;
    add('c');
    expect(begun).toEqual(['a', 'b', 'c']);
  });

  it('do not wait for those of another region', () => {
    const { home, gates, queue, begun, add } = setup();
    const ninth = new Gate();
    gates.set(9, ninth);
    add('a');
    add('b', { region: 9 });
    add('c', { region: 9 });
    ninth.room = 1;
    queue.pump();
    expect(begun).toEqual(['b']);
    ninth.room = 1;
    home.room = 1;
    queue.pump();
    expect(begun).toEqual(['b', 'a', 'c']);
  });

  it('let the next one go while a call about their visitor runs, and come again after it', () => {
    const { home, queue, busy, begun, lanes, add } = setup();
    for (const key of ['a', 'b']) add(key);
    busy.add('a');
    home.room = 2;
    queue.pump();
    expect(begun).toEqual(['b']);
    busy.delete('a');
    expect(queue.offer(lanes.get('a')?.[0] as Call)).toBe('begin');
  });

  it('do not hold up the others when they leave', () => {
    const { home, queue, lanes, begun, add } = setup();
    const a = add('a');
    for (const key of ['b', 'c']) add(key);
    lanes.delete('a');
    queue.left(a);
    home.room = 1;
    queue.pump();
    expect(begun).toEqual(['b']);
  });

  it('are looked at again when something changes while they are looked at', () => {
    const { home, gates, queue, begun, onBegin, add } = setup();
    const ninth = new Gate();
    gates.set(9, ninth);
    add('a');
    add('b', { region: 9 });
    ninth.room = 1;
    onBegin.mockImplementationOnce(() => {
      // As when a call ends as soon as it has begun: there is room again.
      home.room = 1;
      queue.pump();
      expect(begun).toEqual(['b']);
    });
    queue.pump();
    expect(begun).toEqual(['b', 'a']);
  });
});

describe('events that are held back by their server', () => {
  it('are offered again when it opens by the clock, with a timer that does not keep the process alive', () => {
    const { clock, home, begun, add } = setup();
    const timers = jest.spyOn(clock, 'after');
    home.closeFor(300);
    for (const key of ['a', 'b']) add(key);
    expect([clock.pending, clock.keepingAlive, clock.nextInMs]).toEqual([1, 0, 300]);
    expect(timers).toHaveBeenCalledTimes(1);
    clock.advance(299);
    home.open();
    home.room = 1;
    expect(begun).toEqual([]);
    clock.advance(1);
    expect([begun, clock.pending]).toEqual([['a'], 0]);
  });

  it('wait on when it is still closed then', () => {
    const { clock, home, begun, add } = setup();
    home.closeFor(300);
    add('a');
    clock.advance(200);
    home.closeFor(400);
    clock.advance(100);
    expect([begun, clock.nextInMs]).toEqual([[], 400]);
  });

  it('are not offered again before something opens', () => {
    const { home, queue, advanced, add } = setup();
    home.closeFor(300);
    for (const key of ['a', 'b']) add(key);
    // Once, for what waits behind them in their visitors' lanes.
    queue.pump();
    expect(advanced).toEqual(['a', 'b']);
    for (let n = 0; n < 3; n++) queue.pump();
    expect(advanced).toEqual(['a', 'b']);
  });

  it('have no timer where a probe decides', () => {
    const { clock, home, queue, begun, add } = setup();
    home.closeFor(0);
    add('a');
    expect(clock.pending).toBe(0);
    home.open();
    home.room = 1;
    queue.pump();
    expect(begun).toEqual(['a']);
  });

  it('have no timer any more when they have left, or begun because it opened early', () => {
    const { clock, home, queue, begun, add } = setup();
    home.closeFor(300);
    const a = add('a');
    expect(clock.pending).toBe(1);
    queue.left(a);
    expect(clock.pending).toBe(0);
    add('b');
    expect(clock.pending).toBe(1);
    home.open();
    home.room = 1;
    queue.pump();
    expect([begun, clock.pending]).toEqual([['b'], 0]);
  });

  it('are offered once when it closes while they wait for room, so that lookups may overtake them', () => {
    const { clock, home, queue, advanced, add } = setup();
    for (const key of ['a', 'b']) add(key);
    home.closeFor(300);
    queue.pump();
    queue.pump();
    expect([advanced, clock.pending]).toEqual([['a', 'b'], 1]);
    home.open();
    queue.pump();
    home.closeFor(300);
    queue.pump();
    expect(advanced).toEqual(['a', 'b', 'a', 'b']);
  });

  it('go to the server that stands in, and wait for whichever opens first', () => {
    const { clock, home, instead, begun, add } = setup();
    const standIn = new Gate();
    instead.set(home, standIn);
    home.closeFor(5_000);
    standIn.closeFor(1_000);
    add('a');
    expect(clock.nextInMs).toBe(1_000);
    standIn.open();
    standIn.room = 1;
    clock.advance(1_000);
    expect(begun).toEqual(['a']);
    standIn.room = 1;
    add('b');
    expect([begun, clock.pending]).toEqual([['a', 'b'], 0]);
  });

  it('go by their own server when that opens before there is room at the one that stands in', () => {
    const { clock, home, instead, queue, begun, add } = setup();
    add('a');
    home.closeFor(5_000);
    instead.set(home, new Gate());
    queue.pump();
    expect(clock.nextInMs).toBe(5_000);
    instead.delete(home);
    home.open();
    home.room = 1;
    clock.advance(5_000);
    expect(begun).toEqual(['a']);
  });
});
