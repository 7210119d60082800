/**
 * Every way to refuse, as every visitor, in every state: nothing about the visitor reaches the DCS afterwards, what was known is
 * gone, and when they agree again they are asked about. Each cell is a visitor of its own. The table of the cells that are right
 * is printed.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { AamSegmentsOptions } from 'express-aam-segments';
import { advanceableClock, closeSites, createSite, ORG, type Site } from '../helpers/site';
import { tcStringOf } from './tc-strings';

const KNDCTR = 'kndctr_1FD6776A524453CC0A490D44_AdobeOrg';
const AMCV = `AMCV_${encodeURIComponent(ORG)}`;

interface Look {
  readonly cookie: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How a request shows an id of the visitor. */
const IDS = {
  AMCV: (id: string) => look(`${AMCV}=MCMID%7C${id}`),
  'Web SDK': (id: string) => look(`${KNDCTR}_identity=${Buffer.from(`\n&${id}`, 'latin1').toString('base64url')}`),
  s_ecid: (id: string) => look(`s_ecid=MCMID%7C${id}`),
  'UUID cookie': (id: string) => look(`aam_uuid=${id}`),
  'customer id': (id: string) => look('', { 'x-customers': id }),
  'second customer id': (id: string) => look('', { 'x-customers': `C-${id},${id}` }),
  'site function': (id: string) => look('', { 'x-resolved': id }),
} as const;
type IdKind = keyof typeof IDS;
const KINDS = Object.keys(IDS) as IdKind[];

function look(cookie: string, headers: Readonly<Record<string, string>> = {}): Look {
  return { cookie, headers };
}

/** A way to refuse, added to the cookies that identify. */
interface Form {
  readonly source: string;
  readonly way: string;
  readonly refuse: (ids: string) => Look;
}

const COOKIES: Readonly<Record<string, { readonly name: string; readonly no: string; readonly yes: string }>> = {
  'Web SDK consent': { name: `${KNDCTR}_consent`, no: 'general=out', yes: 'general=in' },
  'opt-in service': { name: 'adobeujs-optin', no: '{"aam":false,"ecid":true}', yes: '{"aam":true,"ecid":true}' },
  'TC string': { name: 'euconsent-v2', no: tcStringOf({ vendors: [1] }), yes: tcStringOf() },
  'undisclosed TC string': { name: 'euconsent-v2', no: tcStringOf({ segments: [] }), yes: tcStringOf() },
  'OneTrust TC string': { name: 'eupubconsent-v2', no: tcStringOf({ purposes: [1] }), yes: tcStringOf() },
  GPP: { name: '__gpp', no: 'DBABVg~BVVVVVVg.YA', yes: 'DBABBg~BVqqqqpY' },
  'US Privacy': { name: 'usprivacy', no: '1YYN', yes: '1YNN' },
  'AMCV opt-out': { name: AMCV, no: 'MCOPTOUT-1795441311s|global', yes: 'MCOPTOUT-1795441311s|NONE' },
  's_ecid opt-out': { name: 's_ecid', no: 'MCMID|NONE', yes: 'MCOPTOUT|NONE' },
};

function formsOf(source: string): readonly Form[] {
  const { name, no, yes } = COOKIES[source] as (typeof COOKIES)[string];
  const joined = (ids: string, text: string, separator: string) => (ids === '' ? text : `${ids}${separator}${text}`);
  const cookie = (way: string, text: string, separator = '; '): Form => {
    return { source, way, refuse: (ids) => look(joined(ids, text, separator)) };
  };
  const isAmcv = source.endsWith('opt-out');
  return [
    cookie('plain', `${name}=${no}`),
    cookie('encoded', `${name}=${encodeURIComponent(no)}`),
    cookie('quoted', `${name}="${encodeURIComponent(no)}"`),
    cookie('doubled', `${name}=${no}; ${name}=${no}`),
    cookie('after a yes', `${name}=${yes}; ${name}=${no}`),
    cookie('before a yes', `${name}=${no}; ${name}=${yes}`),
    cookie('behind a comma', `${name}=${no}`, ', '),
    cookie('behind a bare comma', `${name}=${no}`, ','),
    cookie('before a comma', `${name}=${no}, theme=dark`),
    cookie('undecodable', `${name}=${encodeURIComponent(yes)}%zz`),
    // For AMCV, an empty cookie and one that is encoded twice say nothing: they have no opt-out and no id.
    ...(isAmcv
      ? []
      : [
          cookie('empty', `${name}=`),
          cookie('encoded twice', `${name}=${encodeURIComponent(encodeURIComponent(`${no}%`))}`),
        ]),
  ];
}

const FORMS: readonly Form[] = [
  ...Object.keys(COOKIES).flatMap(formsOf),
  { source: 'Sec-GPC', way: 'plain', refuse: (ids) => look(ids, { 'sec-gpc': '1' }) },
  { source: 'Sec-GPC', way: 'doubled', refuse: (ids) => look(ids, { 'sec-gpc': '1, 1' }) },
  { source: 'site function', way: 'at once', refuse: (ids) => look(ids, { 'x-answer': 'no' }) },
  { source: 'site function', way: 'late', refuse: (ids) => look(ids, { 'x-answer': 'later no' }) },
  { source: 'site function', way: 'failing', refuse: (ids) => look(ids, { 'x-answer': 'throw' }) },
];

const STATES = ['cold', 'warm', 'stale', 'in flight', 'queued event', 'pending consent'] as const;

let release: (() => void) | undefined;
const OPTIONS: Pick<AamSegmentsOptions<never>, 'identity' | 'consent'> = {
  identity: {
    uuidCookie: 'aam_uuid',
    customerIds: (req) =>
      req.headers['x-customers'] === undefined
        ? []
        : String(req.headers['x-customers'])
            .split(',')
            .map((id) => ({ dataSourceId: 7, id })),
    resolve: (req) =>
      req.headers['x-resolved'] === undefined ? undefined : { ecid: String(req.headers['x-resolved']) },
  },
  consent: {
    given: (req) => {
      const answer = req.headers['x-answer'];
      if (answer === 'throw') throw new RangeError('no database');
      if (answer === 'pending') return new Promise((resolve) => (release = () => resolve(true)));
      return answer === 'later no' ? Promise.resolve(false) : answer !== 'no';
    },
  },
};

interface Answer {
  readonly req: IncomingMessage;
  readonly status: string;
}

/** A request without a socket, since there are thousands. */
function visit(site: Site, ...looks: readonly Look[]): Promise<Answer> {
  const cookie = looks.flatMap(({ cookie: each }) => each || []).join('; ');
  const headers = Object.assign({}, ...looks.map(({ headers: each }) => each));
  const req = Object.assign(new IncomingMessage(new Socket()), {
    method: 'GET',
    url: '/',
    headers: cookie === '' ? headers : { ...headers, cookie },
  });
  return new Promise((resolve, reject) => {
    site.aam(req, new ServerResponse(req), (error) => {
      if (error !== undefined) reject(error);
      else resolve({ req, status: (req as unknown as { aamSegments: { status: string } }).aamSegments.status });
    });
  });
}

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

it('a refusal ends everything, whoever refuses, however and whenever', async () => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const site = await createSite({ ...OPTIONS, maxWaitMs: 5_000 });
  const clock = advanceableClock();
  const wrong: string[] = [];
  const table = new Map<string, Map<string, number>>();
  let serial = 0;
  let cells = 0;

  for (const form of FORMS) {
    // Each call that is not ended takes its time: enough is known.
    if (wrong.length > 20) break;
    for (const [k, kind] of KINDS.entries()) {
      for (const state of STATES) {
        serial++;
        const id = `1${String(serial).padStart(37, '0')}`;
        const otherId = `2${String(serial).padStart(37, '0')}`;
        const known = IDS[kind](id);
        // With another of the visitor's ids, another kind for each form: it may be the one that is chosen.
        const others = KINDS.filter(
          (each) => !(each === kind || (each.includes('customer') && kind.includes('customer'))),
        );
        const other = IDS[others[(serial + k) % others.length] as IdKind](otherId);
        const wrongBefore = wrong.length;
        const first = site.simulator.requests.length;
        const about = () =>
          site.simulator.requests.slice(first).filter(({ params }) => JSON.stringify(params).includes(id)).length;
        const check = (what: string, isRight: boolean) => {
          if (!isRight) wrong.push(`${form.source}, ${form.way}; ${kind}; ${state}: ${what}`);
        };

        let before: Promise<unknown> = Promise.resolve();
        if (state === 'warm' || state === 'stale') {
          check('not asked about before', (await visit(site, known)).status === 'fresh');
          if (state === 'stale') clock.advance(70_000);
        } else if (state === 'in flight') {
          const arrived = site.simulator.requests.length + 1;
          site.simulator.fault({ kind: 'hang' }, { calls: 1 });
          before = visit(site, known);
          while (site.simulator.requests.length < arrived) await new Promise(setImmediate);
        } else if (state === 'queued event') {
          const { req } = await visit(site, known);
          const arrived = site.simulator.requests.length + 1;
          site.simulator.fault({ kind: 'hang' }, { calls: 1 });
          const events = [1, 2].map(() => site.aam.sendEvent(req, { c_event: 1 }).catch(() => {}));
          before = Promise.all(events);
          while (site.simulator.requests.length < arrived) await new Promise(setImmediate);
        } else if (state === 'pending consent') {
          before = visit(site, known, look('', { 'x-answer': 'pending' })).then((answer) => {
            check('served although another request refused', answer.status === 'excluded');
          });
        }
        const asked = about();
        const ids = [other.cookie, known.cookie].filter((each) => each !== '').join('; ');
        const said = form.refuse(ids);
        // The second of two customer ids is now the only one.
        const shown = kind === 'second customer id' ? IDS['customer id'](id) : known;
        const refused = await visit(site, look(said.cookie, { ...other.headers, ...shown.headers, ...said.headers }));
        check(`the refusal was ${refused.status}`, refused.status === 'excluded');
        release?.();
        release = undefined;
        await before;
        check('asked about after the refusal', about() === asked);
        const after = await visit(site, known);
        check(`after agreeing again, ${after.status}`, after.status === 'fresh');
        check('not asked about after agreeing again', about() === asked + 1);
        cells++;
        if (wrong.length > wrongBefore) continue;
        const row = table.get(`${form.source}: ${form.way}`) ?? new Map<string, number>();
        row.set(state, (row.get(state) ?? 0) + 1);
        table.set(`${form.source}: ${form.way}`, row);
      }
    }
  }
  const lines = [...table].map(
    ([name, row]) => `${name.padEnd(44)}${STATES.map((state) => String(row.get(state)).padStart(16)).join('')}`,
  );
  process.stdout.write(
    `${' '.repeat(44)}${STATES.map((state) => state.padStart(16)).join('')}\n${lines.join('\n')}\n${cells} cells, ${wrong.length} wrong\n`,
  );
  expect(wrong).toEqual([]);
  expect(cells).toBe(FORMS.length * KINDS.length * STATES.length);
}, 120_000);
