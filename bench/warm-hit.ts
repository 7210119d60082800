/** Time of a cache hit in the middleware, with its default checks, compared with parsing the same Cookie header. */
import { parse } from 'cookie';
import { aamSegments } from 'express-aam-segments';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { PROMISES, report } from './promises';
import { asReceived, cookieHeaderOf, ecidOf, ORG } from './visitors';

const CALLS = 20_000;
const USER_AGENT =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

class BareRequest {
  readonly headers: { readonly host: string; readonly cookie: string; readonly 'user-agent': string };
  readonly url = '/';
  constructor(cookie: string, userAgent: string) {
    this.headers = { host: 'shop.example', cookie, 'user-agent': userAgent };
  }
}

class BareResponse {
  readonly locals = Object.create(null) as Record<string, unknown>;
  readonly destroyed = false;
}

async function run(): Promise<void> {
  const { dcs, stop } = await startDcs(1);
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: 984_263 },
    cache: { ttlMs: 3_600_000 },
    dcs,
  });
  await aam.lookup({ ecid: ecidOf(0), region: 9 });

  const cookie = Buffer.from(cookieHeaderOf(0));
  const userAgent = Buffer.from(USER_AGENT);
  const batch = () =>
    Array.from({ length: CALLS }, () => {
      return [new BareRequest(asReceived(cookie), asReceived(userAgent)), new BareResponse()] as const;
    });
  let done = 0;
  const next = () => {
    done++;
  };
  const nanoseconds = (call: (req: BareRequest, res: BareResponse) => void): number => {
    const made = batch();
    const before = process.hrtime.bigint();
    for (const [req, res] of made) call(req, res);
    return Number(process.hrtime.bigint() - before) / CALLS;
  };
  const compared = await interleaved(
    {
      a: () => nanoseconds((req, res) => aam(req as never, res as never, next)),
      b: () =>
        nanoseconds((req) => {
          if (parse(req.headers.cookie).theme === 'dark') done++;
        }),
    },
    { pairs: 100, warmUp: 10 },
  );
  if (aam.stats().requests.cached !== 110 * CALLS || done !== 220 * CALLS)
    throw new Error('not every call was a warm hit');
  const names = { a: 'middleware, warm hit', b: 'cookie.parse' };
  print('A warm hit, against parsing the Cookie header', 'ns a call', names, compared);
  report(PROMISES.warmHit, compared.ratio);
  await aam.close();
  await stop();
}

void run();
