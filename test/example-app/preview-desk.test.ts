import request from 'supertest';
import { closeShops, openShop, PATIENT } from './open-shop';

afterEach(closeShops);

/** The link on the page; `undefined` without one. */
const linkIn = (text: string) => /<textarea[^>]*>([^<]+)<\/textarea>/.exec(text)?.[1];

describe('the page that makes preview links', () => {
  it('shows a form at first, and a link to the shop that was asked, for what was chosen', async () => {
    const { app } = await openShop(PATIENT);
    const form = await request(app).get('/preview');
    expect([form.status, form.headers['cache-control'], linkIn(form.text)]).toEqual([200, 'no-store', undefined]);
    const made = await request(app)
      .get('/preview?page=/members&segment=golfFans&segment=highValue&minutes=15')
      .set('Host', 'shop.example:8080');
    expect(linkIn(made.text)).toMatch(/^http:\/\/shop\.example:8080\/members\?aam_preview=1\.[\w-]+\.[\w-]{43}$/);
    expect(made.text).toContain('Members, for Golf fans, High value');
    expect(made.text).toContain('Valid for 15 minutes');
  });

  it('takes nothing but what it offers', async () => {
    const { app } = await openShop(PATIENT);
    const query = 'page=//evil.example&segment=vips&segment[x]=golfFans&variant-free-lesson=<b>&minutes=999999';
    const { text } = await request(app).get(`/preview?${query}`).set('Host', 'shop.example');
    expect(linkIn(text)).toMatch(/^http:\/\/shop\.example\/\?aam_preview=1\./);
    expect(text).toContain('Home, for everybody else');
    expect(text).toContain('Valid for an hour');
    expect(text).not.toMatch(/evil|vips|<b>/);
  });

  it.each(['', 'a b', 'user:password@shop.example'])('makes none for the host %j', async (host) => {
    const { app } = await openShop(PATIENT);
    const { status, text } = await request(app).get('/preview?page=/').set('Host', host);
    expect([status, linkIn(text)]).toEqual([400, undefined]);
    if (text.includes('<h2')) expect(text).toContain('No link was made');
  });
});

describe('the badge', () => {
  it.each([
    ['segment=golfFans&minutes=15', 'Golf fans · free-lesson: control', '15 min left'],
    ['minutes=1440', 'Nobody in particular · free-lesson: control', '24 h left'],
  ])('of ?%s says %s', async (query, who, timeLeft) => {
    const { app } = await openShop(PATIENT);
    const browser = request.agent(app);
    const link = linkIn((await browser.get(`/preview?page=/landing&${query}`)).text) as string;
    const { text } = await browser.get(`/landing${new URL(link).search}`).redirects(1);
    const [badge = ''] = /<aside class="preview-badge".*?<\/aside>/s.exec(text) ?? [];
    const words = badge
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim();
    expect(words).toBe(`Preview ${who} ${timeLeft} End preview`);
    expect(badge).toContain('href="/landing?aam_preview=off"');
    expect((await browser.get('/landing?aam_preview=off').redirects(1)).text).not.toContain('preview-badge"');
  });
});
