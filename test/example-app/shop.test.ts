import { channel } from 'node:diagnostics_channel';
import request from 'supertest';
import { createAam } from '../../example-app/aam';
import { amcvName, amcvValue } from '../../example-app/amcv-cookie';
import { createShop } from '../../example-app/shop';
import { closeShops, ecidIn, openShop, PATIENT } from './open-shop';

afterEach(closeShops);

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const AMCV = 'AMCV_1FD6776A524453CC0A490D44%40AdobeOrg';
const PATHS = ['/', '/landing', '/members'];

type Browser = ReturnType<typeof request.agent>;

/** Chooses a persona. */
function become(browser: Browser, persona: string, back: string | string[] = '/') {
  return browser.post('/persona').type('form').send({ persona, back });
}

/** The home page for a visitor with this cookie value. */
async function homeOf(app: Parameters<typeof request>[0], amcv: string): Promise<string> {
  const cookie = `${amcvName(ORG)}=${encodeURIComponent(amcv)}`;
  return (await request(app).get('/').set('Cookie', cookie)).text;
}

describe('a page of the shop', () => {
  const plain = ['Good things for days outside', 'Join the club', 'Not yet, but soon'];
  const golf = ['Play the back nine in any weather', 'Thirty-six holes by the sea', 'Not yet, but soon'];
  const vip = ['The Reserve is open tonight', 'Claim your upgrade', 'Good to have you back'];

  it.each([
    ['first-visit', plain, 'A first visit, no visitor id yet', 0],
    ['golf-fan', golf, 'Known golf fan, asked just now', 1],
    ['high-value', vip, 'Known high-value customer, asked just now', 1],
    ['opted-out', plain, 'Opted out, so no call was made', 0],
    ['dcs-slow', golf, 'Known golf fan, asked just now', 1],
    ['dcs-down', plain, 'Not known, the call failed', 1],
  ])('follows the segments of %s', async (persona, texts, headline, calls) => {
    const { app, aam } = await openShop(PATIENT);
    const browser = request.agent(app);
    await become(browser, persona);
    const { text: first } = await browser.get('/');
    expect(first).toContain(headline);
    expect(first).toMatch(/, waited \d+ ms</);
    expect(aam.stats().calls).toBe(calls);
    for (const [n, path] of PATHS.entries()) {
      const { text, status } = await browser.get(path);
      expect(text).toContain(texts[n]);
      expect([path, status]).toEqual([path, texts[n] === 'Not yet, but soon' ? 403 : 200]);
    }
  });

  it('is not cacheable by shared caches', async () => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    for (const persona of ['first-visit', 'golf-fan', 'high-value', 'dcs-down']) {
      await become(browser, persona);
      for (const path of PATHS) expect((await browser.get(path)).headers['cache-control']).toBe('private');
    }
  });

  it('runs no scripts and loads nothing from other origins', async () => {
    const { app } = await openShop(PATIENT);
    const { headers, text } = await request(app).get('/');
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'self'; img-src 'self';/);
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(text).not.toMatch(/<script|<style|\sstyle=|\son\w+=|https?:/);
  });

  it('shows no identifier', async () => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    const ecid = ecidIn(String((await become(browser, 'golf-fan')).headers['set-cookie']));
    const { text } = await browser.get('/');
    expect(text).toContain('984263');
    expect(text).not.toContain(ecid);
    expect(text).not.toMatch(/\d{10}/);
  });

  it('makes no call for a picture or a stylesheet', async () => {
    const { app, aam } = await openShop(PATIENT);
    for (const path of ['/style.css', '/pictures.svg', '/favicon.svg']) {
      expect((await request(app).get(path)).status).toBe(200);
    }
    expect(Object.values(aam.stats().requests).filter((count) => count !== 0)).toEqual([]);
  });
});

describe('the experiment on the landing page', () => {
  const LESSON = 'The first lesson is on us';

  it.each([
    ['golf-fan', true, 'lesson', 'drawn for this visitor'],
    ['high-value', false, 'control', 'not a golf fan, so not in it'],
    ['first-visit', false, 'control', 'no visitor id, so not in it'],
    ['opted-out', false, 'control', 'not asked about, so not in it'],
    ['dcs-down', false, 'control', 'no answer in time, so not in it'],
  ])('gives %s their variant, and the panel says why', async (persona, hasLesson, variant, why) => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    await become(browser, persona);
    for (const path of PATHS) {
      const { text } = await browser.get(path);
      expect([path, text.includes(LESSON)]).toEqual([path, hasLesson && path === '/landing']);
      const [, shown, help] = /Variant<\/dt>\s*<dd>(\S+) <small>of free-lesson: ([^<]+)</.exec(text) ?? [];
      expect([shown, help]).toEqual([variant, why]);
    }
  });

  it('exposes who sees the landing page, and nobody who looks at the panel', async () => {
    const { app } = await openShop(PATIENT);
    const exposed: unknown[] = [];
    const listen = (message: unknown) => void exposed.push(message);
    channel('express-aam-segments:exposure').subscribe(listen);
    const browser = request.agent(app);
    await become(browser, 'golf-fan');
    for (const path of ['/', '/members']) await browser.get(path);
    expect(exposed).toEqual([]);
    for (const path of ['/landing', '/landing']) await browser.get(path);
    channel('express-aam-segments:exposure').unsubscribe(listen);
    expect(exposed).toEqual([expect.objectContaining({ experiment: 'free-lesson', variant: 'lesson' })]);
  });

  it('can be previewed in each variant', async () => {
    const { app } = await openShop(PATIENT);
    for (const variant of ['control', 'lesson']) {
      const browser = request.agent(app);
      const { text } = await browser.get(`/preview?page=/landing&segment=golfFans&variant-free-lesson=${variant}`);
      const [, token] = /aam_preview=([\w.-]+)/.exec(text) ?? [];
      const page = await browser.get(`/landing?aam_preview=${token}`).redirects(1);
      expect(page.text).toContain('Thirty-six holes by the sea');
      expect(page.text.includes(LESSON)).toBe(variant === 'lesson');
      expect(page.text).toContain('of free-lesson: as a preview decides');
    }
  });
});

describe('the panel', () => {
  it('shows the age of a cached answer, and the number of calls', async () => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    await become(browser, 'golf-fan');
    await browser.get('/');
    const { text } = await browser.get('/landing');
    expect(text).toMatch(/Known golf fan, from the cache, \d+ s old, waited \d+ ms</);
    expect(text).toMatch(/Calls so far<\/dt>\s*<dd>1 <small>page views: 2/);
    expect(text).toMatch(/Region<\/dt>\s*<dd>9 /);
  });

  it('shows an answer that was too late for the first page and in time for the next', async () => {
    const { app, aam } = await openShop({});
    const browser = request.agent(app);
    const ecid = ecidIn(String((await become(browser, 'dcs-slow')).headers['set-cookie']));
    const { text: first } = await browser.get('/');
    expect(first).toMatch(/Not known yet, the answer is pending, waited [1-9]\d\d+ ms</);
    expect(first).toContain('Good things for days outside');
    expect(first).toContain('Look again');

    await aam.lookup({ ecid });
    const { text: next } = await browser.get('/');
    expect(next).toContain('Known golf fan, from the cache, ');
    expect(next).toContain('Play the back nine in any weather');
    expect(next).toContain('The answer was too late for the first page, but was cached');
    expect(next).not.toContain('Look again');
  });

  it('shows a stale answer while it is refreshed', async () => {
    const { app } = await openShop({ ...PATIENT, cache: { ttlMs: 0 } });
    const browser = request.agent(app);
    await become(browser, 'golf-fan');
    await browser.get('/');
    expect((await browser.get('/')).text).toContain('Known golf fan, from an older answer, ');
  });

  it('shows a visitor without segments, and one without a usable id', async () => {
    const { app } = await openShop(PATIENT);
    const stranger = amcvValue({ ecid: '1'.repeat(38), region: 9, optOut: 'NONE' });
    expect(await homeOf(app, stranger)).toContain('Known, but in no segment, asked just now');
    expect(await homeOf(app, 'MCMID|123')).toContain('No usable visitor id in the cookies');
  });
});

describe('the personas bar', () => {
  const cookie = (region: number, optOut: string) =>
    new RegExp(
      `^${AMCV}=179643557%7CMCIDTS%7C\\d{5}%7CMCMID%7C\\d{38}%7CMCAAMLH-\\d{10}%7C${region}` +
        `%7CMCAAMB-\\d{10}%7C[\\w-]{52}%7CMCOPTOUT-\\d{10}s%7C${optOut}%7CvVersion%7C5\\.5\\.0; Path=/; SameSite=Lax$`,
    );

  it.each([
    ['golf-fan', cookie(9, 'NONE')],
    ['high-value', cookie(6, 'NONE')],
    ['opted-out', cookie(9, 'global')],
    ['first-visit', new RegExp(`^${AMCV}=; Path=/; Expires=Thu, 01 Jan 1970`)],
  ])('sets the cookie that Adobe would set for %s', async (persona, amcv) => {
    const { app } = await openShop(PATIENT);
    const { headers } = await become(request.agent(app), persona);
    expect(headers['set-cookie']).toEqual([
      expect.stringMatching(amcv),
      `persona=${persona}; Path=/; HttpOnly; SameSite=Lax`,
    ]);
  });

  it('marks the chosen persona', async () => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    await become(browser, 'opted-out');
    const pressed = (await browser.get('/')).text.match(/<button[^>]* aria-pressed="true">/g);
    expect(pressed).toEqual(['<button name="persona" value="opted-out" aria-pressed="true">']);
  });

  it('makes a new visitor at each click for the DCS faults', async () => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    for (const persona of ['dcs-slow', 'dcs-down']) {
      const clicks = [await become(browser, persona), await become(browser, persona)];
      const [first, second] = clicks.map(({ headers }) => ecidIn(String(headers['set-cookie'])));
      expect(first).not.toBe(second);
    }
  });

  it('redirects back to the page', async () => {
    const { app } = await openShop(PATIENT);
    for (const path of PATHS) {
      const { status, headers } = await become(request.agent(app), 'golf-fan', path);
      expect([status, headers.location]).toEqual([303, path]);
      expect((await request(app).get(path)).text).toContain(`name="back" value="${path}"`);
    }
  });

  it.each([
    '//elsewhere.example',
    'https://elsewhere.example/',
    '/\\elsewhere.example',
    '/.//elsewhere.example',
    '/landing\r\nX: y',
    '',
    ['/landing', '//elsewhere.example'],
  ])('does not redirect to %j', async (back) => {
    const { app } = await openShop(PATIENT);
    const { status, headers } = await become(request.agent(app), 'golf-fan', back);
    expect([status, headers.location]).toEqual([303, '/']);
  });

  it.each(['nobody', '__proto__', 'toString', ''])('refuses the persona %j', async (persona) => {
    const { app } = await openShop(PATIENT);
    const { status, headers } = await become(request.agent(app), persona);
    expect([status, headers['set-cookie']]).toEqual([400, undefined]);
  });

  it('answers a form without fields and an unknown persona in the cookie', async () => {
    const { app } = await openShop(PATIENT);
    expect((await request(app).post('/persona')).status).toBe(400);
    const { status, text } = await request(app).get('/').set('Cookie', 'persona=__proto__; persona=j:{"a":1}');
    expect(status).toBe(200);
    expect(text).not.toContain('aria-pressed="true"');
  });
});

describe('the shop on Adobe’s Audience Manager', () => {
  it('names the organisation whose cookies it reads, and has no personas', async () => {
    const aam = createAam({ orgId: ORG, partner: 'acme' });
    const app = createShop({ aam, orgId: `<${ORG}>` });
    const { text } = await request(app).get('/').set('Cookie', 'persona=first-visit');
    expect(text).toContain(`the cookies that Adobe’s tag set for &lt;${ORG}&gt;`);
    expect(text).not.toMatch(/<form|has not run in this browser/);
    expect((await become(request.agent(app), 'golf-fan')).status).toBe(404);
    await aam.close();
  });
});
