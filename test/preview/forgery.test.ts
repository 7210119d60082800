/** Tokens and cookies that nobody signed. */

import request from 'supertest';
import { PreviewTokens } from '../../src/preview/preview-token';
import { closeSites } from '../helpers/site';
import { cookieSetBy, ORIGIN, previewSite, SECRET, tokenIn } from './preview-site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const OTHERS = [...'+/=.~!%*"\\ \t\0é€'];

/** The same numbers on every run: mulberry32. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) % below;
  };
}

/** What somebody without the secret can make of valid ones. */
function forgeries(valid: readonly string[], seed: number): () => string {
  const below = numbers(seed);
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const kinds: ((token: string) => string)[] = [
    // Another character, of base64url or not.
    (token) => {
      const at = below(token.length);
      return token.slice(0, at) + oneOf([...ALPHABET, ...OTHERS]) + token.slice(at + 1);
    },
    // One bit of the text or of the MAC.
    (token) => {
      const parts = token.split('.');
      const which = 1 + below(2);
      const bytes = Buffer.from(parts[which] as string, 'base64url');
      const at = below(bytes.length);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << below(8)), at);
      parts[which] = bytes.toString('base64url');
      return parts.join('.');
    },
    // The same bytes in another spelling: unused bits of the last character, padding, the other alphabet.
    (token) => {
      const last = ALPHABET.indexOf(token.at(-1) as string);
      const spellings = [
        token.slice(0, -1) + ALPHABET[last ^ (1 + below(3))],
        `${token}${'='.repeat(1 + below(2))}`,
        token.replaceAll('-', '+').replaceAll('_', '/'),
        token.replace('.', '%2E'),
        encodeURIComponent(token).replace(/[A-Z]/, (each) => `%${each.charCodeAt(0).toString(16)}`),
      ];
      return oneOf(spellings);
    },
    // Cut, or longer.
    (token) => token.slice(0, below(token.length)),
    (token) => token.slice(1 + below(token.length - 1)),
    (token) => token + oneOf([...ALPHABET, '.', '.1', '\n']),
    // The parts of two.
    (token) => {
      const other = oneOf(valid);
      const [version, text, mac] = token.split('.') as [string, string, string];
      const [, otherText, otherMac] = other.split('.') as [string, string, string];
      return oneOf([
        [version, otherText, mac],
        [version, text, otherMac],
        [version, text + otherText, mac],
        [version, mac, text],
      ]).join('.');
    },
    // A later end, for another host, or with more in it, under the old MAC, another one, or none.
    (token) => {
      const [version, text, mac] = token.split('.') as [string, string, string];
      const content = JSON.parse(Buffer.from(text, 'base64url').toString());
      const changed = oneOf([
        { ...content, expiresAtMs: content.expiresAtMs + 1 + below(1e9) },
        { ...content, host: 'evil.example' },
        { ...content, segments: [...content.segments, 'highValue'] },
        { ...content, isSecure: !content.isSecure },
      ]);
      const forged = Buffer.from(JSON.stringify(changed)).toString('base64url');
      return [
        version,
        forged,
        oneOf([mac, '', 'A'.repeat(43), Buffer.alloc(32, below(256)).toString('base64url')]),
      ].join('.');
    },
    // Of another version.
    (token) => oneOf(['2', '01', '', '1.1', ' 1']) + token.slice(1),
  ];
  return () => {
    for (;;) {
      const forged = oneOf(kinds)(oneOf(valid));
      if (!valid.includes(forged)) return forged;
    }
  };
}

const ACCOUNT = { orgId: 'A@AdobeOrg', partnerHost: 'acme.demdex.net' };
const CONTENTS = ['golfFans', 'highValue', '984263'].map((segment, n) => ({
  host: 'shop.example',
  isSecure: n !== 1,
  expiresAtMs: Date.now() + 3_600_000 * (n + 1),
  segments: [segment],
  variants: [['autumn-hero', 'links'] as const].slice(n),
}));

it.each([1, 2])('of 25 000 forged tokens and as many forged cookies none is accepted (seed %d)', (seed) => {
  const tokens = new PreviewTokens({ secrets: [SECRET, `an older ${SECRET}`] }, ACCOUNT);
  const links = CONTENTS.map((content) => tokens.forLink(content));
  const cookies = CONTENTS.map((content) => tokens.forCookie(content));
  expect(links.every((link) => tokens.inLink(link) !== undefined)).toBe(true);
  expect(cookies.every((cookie) => tokens.inCookie(cookie) !== undefined)).toBe(true);
  const forgedLink = forgeries(links, seed);
  const forgedCookie = forgeries(cookies, seed);
  const accepted: string[] = [];
  for (let n = 0; n < 25_000; n++) {
    const [link, cookie] = [forgedLink(), forgedCookie()];
    if (tokens.inLink(link) !== undefined) accepted.push(link);
    if (tokens.inCookie(cookie) !== undefined) accepted.push(cookie);
  }
  // Each is of the wrong kind in the other's place.
  for (const link of links) if (tokens.inCookie(link) !== undefined) accepted.push(link);
  for (const cookie of cookies) if (tokens.inLink(cookie) !== undefined) accepted.push(cookie);
  expect(accepted).toEqual([]);
});

/** What a header or a URL can hold. */
const isSendable = (text: string) => /^[\x21-\x7e]+$/.test(text) && !/[;,"#&\\]/.test(text);

it('a site takes a forged token, and a forged cookie, as if there were none', async () => {
  const { app, aam, simulator, open } = await previewSite();
  const links = (['golfFans', 'highValue'] as const).map((name) => aam.previewUrl(`${ORIGIN}/`, { segments: [name] }));
  const begun = await Promise.all(links.map((link) => open(link)));
  const cookies = begun.map((response) => cookieSetBy(response).split('=')[1] as string);
  const forgedToken = forgeries(links.map(tokenIn), 3);
  const forgedCookie = forgeries(cookies, 3);
  const wrong: unknown[] = [];
  let sent = 0;
  for (let n = 0; n < 150; n++) {
    const [token, cookie] = [forgedToken(), forgedCookie()];
    if (!isSendable(token) || !isSendable(cookie)) continue;
    sent++;
    const byToken = await request(app).get(`/?aam_preview=${token}`);
    if (byToken.body.status !== 'anonymous' || byToken.headers['set-cookie'] !== undefined) wrong.push(token);
    const byCookie = await request(app).get('/').set('Cookie', `aam_preview=${cookie}; __Host-aam_preview=${cookie}`);
    if (byCookie.body.status !== 'anonymous') wrong.push(cookie);
  }
  expect(wrong).toEqual([]);
  expect(sent).toBeGreaterThan(60);
  expect(simulator.requests).toEqual([]);
});
