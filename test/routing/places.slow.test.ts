import { type RequireSegmentOptions, requireSegment, type VisitorSegments } from 'express-aam-segments';
import { EXPRESSES } from './expresses';
import { addPublicPages, closeGuardedSites, membersPage } from './guarded-site';
import { ask, type Method } from './in-memory';
import { PLACES, type Place } from './places';
import { stopTracing, TRACING } from './tracing';
import { segmentsOf, VISITS } from './visits';

const METHODS: readonly Method[] = ['get', 'head', 'post', 'options'];

/** The guard's options, with the refusal that each causes. */
const REFUSALS: readonly { options: RequireSegmentOptions; status: number; text: string }[] = [
  { options: {}, status: 403, text: 'ERR_AAM_SEGMENT_REQUIRED' },
  { options: { otherwise: 404 }, status: 404, text: 'Not Found' },
  { options: { otherwise: (_req, res) => void res.status(402).send('join') }, status: 402, text: 'join' },
];

/** What the middleware has served, by the title of the visit. */
const served = new Map<string, { segments: VisitorSegments; isIn: boolean }>();

beforeAll(async () => {
  jest.spyOn(process, 'emitWarning').mockImplementation();
  for (const [n, visit] of VISITS.entries()) {
    const segments = await segmentsOf(visit);
    expect([segments.status, segments.reason]).toEqual([visit.status, visit.reason]);
    const title = `visit ${n}: ${visit.status}/${visit.reason} ${visit.isIn ? 'in' : 'not in'} the segment`;
    served.set(title, { segments, isIn: visit.isIn });
  }
  closeGuardedSites();
  jest.restoreAllMocks();
});
afterEach(stopTracing);

type Wrap = (typeof TRACING)[string];
type GuardedPlace = ReturnType<typeof guardedPlace>;

/** An app with a guard in a place. Returns a function that visits the page with given segments. */
function guardedPlace(express: (typeof EXPRESSES)[string], wrap: Wrap, place: Place, options: RequireSegmentOptions) {
  const app = express();
  const members = membersPage();
  let segments: VisitorSegments | undefined;
  app.use((req, _res, next) => {
    Object.assign(req, { aamSegments: segments });
    next();
  });
  place.mount({ express, app, members, guard: requireSegment('highValue', options) });
  addPublicPages(app);
  wrap(app);
  return async (method: Method, by: VisitorSegments | undefined) => {
    segments = by;
    members.mockClear();
    const answer = await ask(app, place.path ?? '/members', method);
    return { ...answer, reached: members.mock.calls.length };
  };
}

/** The methods by which a member reaches the page. Others are answered by Express or by later handlers. */
async function guardedMethods(visit: GuardedPlace): Promise<readonly Method[]> {
  const { segments } = [...served.values()].find(({ isIn }) => isIn) as { segments: VisitorSegments };
  const guarded: Method[] = [];
  for (const method of METHODS) {
    if ((await visit(method, segments)).reached > 0) guarded.push(method);
  }
  return guarded;
}

describe.each(Object.entries(EXPRESSES))('%s', (_name, express) => {
  describe.each(Object.entries(TRACING))('under %s', (_tool, wrap) => {
    it.each(PLACES)('a guard in $title only lets visitors in the segment through', async (place) => {
      const wrong: string[] = [];
      for (const [n, { options, ...refusal }] of REFUSALS.entries()) {
        const visit = guardedPlace(express, wrap, place, options);
        const guarded = await guardedMethods(visit);
        expect(guarded).toEqual(expect.arrayContaining(['get', 'head']));
        // Only the default refusal is tested with every status: other refusals do not depend on it.
        const [visitors, methods] = n === 0 ? [[...served], guarded] : [[...served].slice(0, 2), METHODS];
        for (const [title, { segments, isIn }] of visitors) {
          for (const method of methods) {
            const { status, text, reached } = await visit(method, segments);
            const expected = method === 'head' ? String(refusal.status) : refusal.text;
            const isRefused = reached === 0 && status === refusal.status && text === expected;
            const isLetIn = reached === 1 && status === 200;
            const isRight = guarded.includes(method) ? (isIn ? isLetIn : isRefused) : reached === 0;
            if (!isRight) wrong.push(`${title}, ${method}: ${status} ${text}, reached ${reached} times`);
          }
        }
        const { text, reached } = await visit('get', undefined);
        if (text !== 'ERR_AAM_MIDDLEWARE_MISSING' || reached > 0) wrong.push(`no middleware: ${text}`);
      }
      expect(wrong).toEqual([]);
    });
  });
});
