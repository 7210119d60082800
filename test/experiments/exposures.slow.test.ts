import type { IncomingMessage } from 'node:http';
import type { Exposure } from 'express-aam-segments';
import { Experiments } from '../../src/experiments/experiments';
import type { ResponsePrivacy } from '../../src/request/response-privacy';
import { NO_ANSWER } from '../../src/segments/packed-answer';
import { SegmentNames } from '../../src/segments/segment-refs';
import { cached, excluded, type ServedAnswer } from '../../src/segments/served-answer';
import { type Instance, Reading, VisitorSegments } from '../../src/segments/visitor-segments';
import { unitsOf } from './statistics';

jest.setTimeout(120_000);

/** Units that an experiment remembers. */
const REMEMBERED = 100_000;
const NEWCOMERS = 1_000;
const HALVES = { control: 50, links: 50 };

const instance: Instance = {
  names: new SegmentNames(new Map()),
  privacy: { keepPrivate() {} } as unknown as ResponsePrivacy,
};
const KNOWN = cached(NO_ANSWER, 1_000);

/** A request in flight. It has no socket, since there are hundreds of thousands. */
function requestOf(ecid: string, served: ServedAnswer = KNOWN): IncomingMessage {
  const aamSegments = new VisitorSegments(instance, { ecid }, served, new Reading({} as never));
  return { headers: {}, aamSegments } as unknown as IncomingMessage;
}

/** The same order in every run. */
function shuffled<T>(items: readonly T[]): T[] {
  const list = [...items];
  let state = 19;
  for (let n = list.length - 1; n > 0; n--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = state % (n + 1);
    [list[n], list[other]] = [list[other] as T, list[n] as T];
  }
  return list;
}

/** Experiments, and the visitors that they have told as exposed since the last look. */
function watched() {
  const told: { experiment: string; reason: string; ecid: string }[] = [];
  const experiments = new Experiments(instance, ({ experiment, reason }: Exposure, req) => {
    const { ecid } = (req as { aamSegments: VisitorSegments }).aamSegments.visitor;
    told.push({ experiment, reason, ecid: ecid as string });
  });
  return { experiments, tell: () => told.splice(0) };
}

it('each of 100 000 visitors in flight is exposed once per experiment', () => {
  const { experiments, tell } = watched();
  const hero = experiments.define({ name: 'hero', variants: HALVES });
  const price = experiments.define({ name: 'price', variants: HALVES, holdout: { name: 'global', percent: 10 } });
  const units = unitsOf('in flight', REMEMBERED);
  // Each visitor has two pages open, and each page asks twice.
  const requests = [...units, ...units].map((ecid) => requestOf(ecid));
  const robots = units.map((ecid) => requestOf(`1${ecid.slice(1)}`, excluded('bot')));
  for (const req of shuffled([...requests, ...robots])) hero.variantOf(req);
  for (const req of shuffled([...requests, ...robots, ...requests])) price.variantOf(req);
  for (const req of shuffled(requests)) hero.variantOf(req);

  const told = tell();
  const of = (experiment: string) => told.filter((each) => each.experiment === experiment).map(({ ecid }) => ecid);
  for (const experiment of ['hero', 'price']) {
    expect(of(experiment)).toHaveLength(REMEMBERED);
    expect(new Set(of(experiment))).toEqual(new Set(units));
  }
  const heldOut = told.filter(({ reason }) => reason === 'holdout');
  expect(heldOut.every(({ experiment }) => experiment === 'price')).toBe(true);
  expect(heldOut.length).toBe(price.stats().holdout / 2);
  expect(heldOut.length / REMEMBERED).toBeCloseTo(0.1, 2);
  expect([hero.stats().assigned, hero.stats().excluded]).toEqual([2 * REMEMBERED, REMEMBERED]);
});

it('whoever was exposed first is forgotten first', () => {
  const { experiments, tell } = watched();
  const hero = experiments.define({ name: 'hero', variants: HALVES });
  const units = unitsOf('forgotten', REMEMBERED + NEWCOMERS);
  const visit = (visitors: readonly string[]) => {
    for (const ecid of visitors) hero.variantOf(requestOf(ecid));
    return tell().map(({ ecid }) => ecid);
  };
  const [first, others] = [units.slice(0, REMEMBERED), units.slice(REMEMBERED)];
  expect(visit(first)).toEqual(first);
  // Coming again does not count as being younger.
  expect(visit(first)).toEqual([]);
  expect(visit(others)).toEqual(others);
  expect(visit(first.slice(NEWCOMERS))).toEqual([]);
  expect(visit(first.slice(0, NEWCOMERS))).toEqual(first.slice(0, NEWCOMERS));
  // They have pushed out those who came after them.
  expect(hero.assignmentOf(requestOf(first[NEWCOMERS] as string)).isExposed).toBe(false);
  expect(hero.assignmentOf(requestOf(first[2 * NEWCOMERS] as string)).isExposed).toBe(true);
});
