import { createDcsClient } from 'express-aam-segments';
import request from 'supertest';
import { tcStringOf } from '../consent/tc-strings';
import { dcsServer, http } from '../dcs/dcs-server';
import { closeSites, cookieOf, createSite, ECID, ORG } from '../helpers/site';

afterEach(closeSites);

it('a call contains the ids, the organisation, signals and a TC string, and nothing else of the request', async () => {
  await using dcs = await dcsServer((socket) => socket.write(http()));
  const site = await createSite({
    dcs: { origins: {}, defaultOrigin: dcs.origin.origin },
    identity: { customerIds: () => [{ dataSourceId: 1234, id: 'C-1001' }] },
    signals: () => ({ c_section: 'golf' }),
  });
  const tcString = tcStringOf();
  await request(site.app)
    .get('/?private=query')
    .set('Cookie', `${cookieOf(ECID)}; euconsent-v2=${tcString}; session=private-session`)
    .set('User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0')
    .set('X-Forwarded-For', '203.0.113.7')
    .set('Accept-Language', 'private-language')
    .set('Referer', 'https://private.example/')
    .set('Authorization', 'Bearer private-token');
  const [head] = dcs.heads as [string];
  for (const sent of [ECID, encodeURIComponent(ORG), 'C-1001', 'c_section=golf', `gdpr_consent=${tcString}`]) {
    expect(head).toContain(sent);
  }
  expect(head).not.toMatch(
    /private|203\.0\.113\.7|mozilla|^(cookie|referer|authorization|x-forwarded-for|accept-language):/im,
  );
});

it('handlers find the ids in req.aamSegments.visitor', async () => {
  const site = await createSite();
  site.app.get('/me', (req, res) => {
    res.json(req.aamSegments.visitor);
  });
  expect(await site.view(cookieOf(ECID), '/me')).toMatchObject({ ecid: ECID, region: 9 });
});

it("an opt-out is sent by GET, also with dcs.method 'post'", async () => {
  await using dcs = await dcsServer((socket) => socket.write(http()));
  const client = createDcsClient({
    orgId: ORG,
    partner: 'acme',
    dcs: { origins: {}, defaultOrigin: dcs.origin.origin, method: 'post' },
  });
  await client.lookup({ ecid: ECID }).catch(() => {});
  await client.optOut({ ecid: ECID }, { irreversible: true });
  expect(dcs.heads.map((head) => head.split(' ')[0])).toEqual(['POST', 'GET']);
  await client.close();
});
