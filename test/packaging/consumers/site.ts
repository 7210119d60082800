// A site in TypeScript. It is compiled as CommonJS and as an ES module, and then visited like the ones in JavaScript.
// It uses the types as sites do; lines that must not compile are in mustNotCompile().
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import {
  AamError,
  type AamErrorCode,
  type AamSegmentsOptions,
  type AamStats,
  aamBootstrap,
  aamSegments,
  type Guard,
  type RegisteredName,
  requireSegment,
  routeBySegment,
  type SegmentReason,
  type SegmentRef,
  type SegmentRequiredError,
  type SegmentStatus,
  type VisitorId,
  type VisitorSegments,
} from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';

const defaultOrigin = process.env.DCS_ORIGIN;
const aam = aamSegments({
  orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
  partner: 'acme',
  segments: { golfFans: 984263, highValue: '985264', sporty: { value: 'sports-fan' } },
  destinations: { aam: { keys: ['seg'] } },
  maxWaitMs: 5_000,
  skip: (req) => req.path === '/health',
  signals: (req) => ({ c_path: req.path }),
  identity: { customerIds: (req) => (req.user ? [{ dataSourceId: 1, id: req.user.crmId }] : []) },
  consent: { given: async (req) => req.get('X-Consent') !== 'no' },
  cache: { ttlMs: 1_000 },
  dcs: { defaultOrigin, origins: defaultOrigin === undefined ? undefined : {} },
});

// As passport declares it.
declare global {
  namespace Express {
    interface Request {
      user?: { crmId: string };
    }
  }
}

declare module 'express-aam-segments' {
  interface Register {
    aam: typeof aam;
  }
}

type Names = 'golfFans' | 'highValue' | 'sporty';
type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const registered: Equals<RegisteredName, Names> = true;
const onTheRequest: Equals<Request['aamSegments'], VisitorSegments<Names>> = true;

const members: RequestHandler = (_req, res) => {
  res.send('members');
};

const app = express();
app.use(aam);
app.use('/again', aam);
app.get('/', (req, res) => {
  const { aamSegments: segments } = req;
  res.send(segments.has('highValue') ? 'upgrade' : 'join');
});
app.get('/members', requireSegment('highValue'), members);
app.get('/members/both', [requireSegment(['golfFans', 'highValue'], { match: 'all' }), members]);
app.get('/members/of-id', aam.requireSegment([984263, '985264', { value: 'sports-fan' }]), members);
app.use('/lounge', requireSegment('highValue', { otherwise: 403 }), (_req, res) => {
  res.send('lounge');
});
app.get(
  '/landing',
  routeBySegment({
    golfFans: (_req, res) => {
      res.send('golf');
    },
    highValue: [(_req, _res, next) => next(), async (_req, res) => void res.send('vip')],
    default: (_req, res) => {
      res.send('plain');
    },
  }),
);

const router = express.Router();
router.use(aam, requireSegment('golfFans', { otherwise: '/landing' }));
router.use(requireSegment(984263, { otherwise: (_req, res) => void res.status(404).end() }));
router
  .route('/course/:id')
  .all(aam.requireSegment('golfFans'))
  .get((req, res) => {
    const id: string | string[] | undefined = req.params.id;
    res.json({ id, segments: req.aamSegments });
  });
router.use(
  aam.routeBySegment([
    [984263, members],
    ['sporty', [members]],
    ['default', members],
  ]),
);
app.use('/golf', router);

// Handlers keep the types of their route, through the router and behind guards.
type Id = { id: string };
const sameType = <A, B>(isSame: Equals<A, B>): boolean => isSame;
const send = (res: Response, _isSame: unknown, text: string): void => void res.send(text);
const showOffer: RequestHandler<Id> = (req, res) => void res.send(req.params.id);
app.get(
  '/offers/:id',
  requireSegment('highValue'),
  aam.routeBySegment({
    golfFans: (req, res) => {
      sameType<typeof req.params, Id>(true);
      res.send(req.params.id);
    },
    default: [(_req, _res, next) => next(), async (req, res) => void res.send(req.params.id)],
  }),
);
app.get(
  '/offers/by-id/:id',
  aam.requireSegment('golfFans', { otherwise: (req, res) => void res.redirect(`/join/${String(req.params.id)}`) }),
  routeBySegment([
    [984263, (req, res) => send(res, sameType<typeof req.params, Id>(true), req.params.id)],
    ['default', [(req, res) => send(res, sameType<typeof req.params, Id>(true), req.params.id)]],
  ]),
);
app.get('/offers/typed/:id', aam.requireSegment('golfFans'), (req, res) => {
  sameType<typeof req.params, Id>(true);
  res.send(req.params.id);
});
app.get('/offers/shown/:id', routeBySegment({ golfFans: showOffer, highValue: [aam.requireSegment(1), showOffer] }));
app.get('/offers/guarded/:id', requireSegment('golfFans', { otherwise: showOffer }), showOffer);
app
  .route('/offers/route/:id')
  .all(requireSegment('golfFans'))
  .get(routeBySegment({ golfFans: (req, res) => send(res, sameType<typeof req.params, Id>(true), req.params.id) }));
app.post<Id, { ok: boolean }, { name: string }, { page: string }, { user: string }>(
  '/offers/:id',
  requireSegment('highValue'),
  aam.routeBySegment({
    highValue: (req, res) => {
      sameType<typeof req.params, Id>(true);
      sameType<typeof req.body, { name: string }>(true);
      sameType<typeof req.query, { page: string }>(true);
      sameType<typeof res.locals.user, string>(true);
      res.json({ ok: true });
    },
  }),
);

app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
  if (!(error instanceof AamError)) return next(error);
  if (error.code === 'ERR_AAM_SEGMENT_REQUIRED') {
    const { status, segmentsStatus, segmentsReason } = error as SegmentRequiredError;
    const forbidden: 403 = status;
    return void res.status(forbidden).json({ segmentsStatus, segmentsReason });
  }
  const code: AamErrorCode = error.code;
  const status: SegmentStatus = req.aamSegments.status;
  const reason: SegmentReason | undefined = req.aamSegments.reason;
  res.status(500).json({ code, status, reason });
});

/** A test as a site writes it. */
export async function rehearse(): Promise<readonly string[]> {
  const simulator: DcsSimulator = await createDcsSimulator({ partner: 'acme', segmentIds: true });
  const ecid = '20265673158980419722735089753036633573';
  simulator.visitor(ecid).in(984263).destination('aam', 'seg=sports-fan');
  const options: AamSegmentsOptions<'golfFans'> = {
    orgId: '1FD6776A524453CC0A490D44',
    partner: 'acme',
    segments: { golfFans: 984263 },
    dcs: simulator.dcs,
  };
  const rehearsed = aamSegments(options);
  const visitor: VisitorId = { ecid, region: 9 };
  const segments = await rehearsed.lookup(visitor, { signal: AbortSignal.timeout(5_000) });
  const names: readonly 'golfFans'[] = segments.names;
  const { calls }: AamStats = rehearsed.stats();
  const [call] = simulator.requestsOf(ecid);
  rehearsed.forget(visitor);
  await rehearsed.close();
  await simulator.close();
  return [...names, ...segments, `calls: ${calls}`, `region: ${String(call?.region)}`];
}

export function mustNotCompile(req: Request, ref: SegmentRef<Names>): Guard {
  req.aamSegments.has(ref);
  // @ts-expect-error a misspelt name
  req.aamSegments.has('highvalue');
  // @ts-expect-error a misspelt name among others
  req.aamSegments.hasAny('golfFans', 'highvalue');
  // @ts-expect-error the segments cannot be replaced by a site's own object
  req.aamSegments = { has: () => true };
  // @ts-expect-error the status is one of six
  req.aamSegments.status === 'known';
  // @ts-expect-error the ids cannot be changed
  req.aamSegments.ids.push('1');
  // @ts-expect-error a parameter that the route does not have
  app.get('/:id', routeBySegment({ golfFans: (req, res) => void res.send(req.params.name) }));
  // @ts-expect-error a value among handlers that is not a handler
  routeBySegment({ golfFans: [members, 'members'] });
  // @ts-expect-error a misspelt name
  routeBySegment({ golffans: members });
  const hero = aam.experiment({ name: 'hero', variants: { control: 1, links: 1 }, audience: { any: ['golfFans', 7] } });
  sameType<ReturnType<typeof hero.variantOf>, 'control' | 'links'>(true);
  app.get('/hero/:id', hero.route({ control: members, links: [members, members] }));
  // @ts-expect-error a variant without a handler
  hero.route({ control: members });
  // @ts-expect-error a handler of a variant that does not exist
  hero.route({ control: members, links: members, link: members });
  // @ts-expect-error a variant that does not exist
  hero.variantOf(req) === 'link';
  // @ts-expect-error a misspelt segment
  aam.experiment({ name: 'hero', variants: { control: 1, links: 1 }, audience: 'golffans' });
  // @ts-expect-error a misspelt segment among several
  aam.experiment({ name: 'hero', variants: { control: 1, links: 1 }, audience: { all: ['golffans'] } });
  aamBootstrap(req, { only: ['golfFans'], variants: [hero] });
  // @ts-expect-error a misspelt name
  aamBootstrap(req, { only: ['golffans'] });
  // @ts-expect-error the name of an experiment, instead of the experiment
  aamBootstrap(req, { only: [], variants: ['hero'] });
  aam.previewUrl(new URL('https://shop.example/'), {
    segments: ['golfFans', 7, { value: 'x' }],
    variants: { hero: 'links' },
  });
  // @ts-expect-error a misspelt segment in a preview
  aam.previewUrl('https://shop.example/', { segments: ['golffans'] });
  // @ts-expect-error a misspelt name, of the instance
  aam.routeBySegment({ golffans: members });
  // @ts-expect-error a misspelt name, of the instance
  aam.requireSegment('golffans');
  // @ts-expect-error a visitor has an id
  void aam.lookup({ region: 9 });
  // @ts-expect-error an option that does not exist
  aamSegments({ orgId: 'x', partner: 'acme', maxWait: 150 });
  // @ts-expect-error a required option is missing
  aamSegments({ orgId: 'x' });
  // @ts-expect-error a fault that does not exist
  void createDcsSimulator().then((simulator) => simulator.fault({ kind: 'earthquake' }));
  // @ts-expect-error a misspelt name
  return requireSegment('highvalue');
}

export { AamError, aam, app, onTheRequest, registered };
