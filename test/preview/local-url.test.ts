import fc from 'fast-check';
import { localUrl, textOf } from '../../src/preview/local-url';

const ORIGIN = 'https://shop.example';
const without = (target: string) => textOf(localUrl(target));

describe('the URL of a request without its preview', () => {
  it.each([
    ['/landing?aam_preview=1.x.y', '/landing'],
    ['/landing?a=1&aam_preview=1.x.y&b=2', '/landing?a=1&b=2'],
    ['/landing?a=%20+é&aam_preview', '/landing?a=%20+%E9'],
    ['/?aam_preview=x&aam_preview=off', '/'],
    ['/?my_aam_preview=1&aam_preview2=2', '/?my_aam_preview=1&aam_preview2=2'],
    ['/?&&', '/?&&'],
    ['//evil.example/x?aam_preview=1', '/evil.example/x'],
    ['///evil.example', '/evil.example'],
    ['/\\evil.example', '/%5Cevil.example'],
    ['\\\\evil.example', '/%5C%5Cevil.example'],
    ['/%2f/evil.example', '/%2f/evil.example'],
    ['/%5cevil.example', '/%5cevil.example'],
    ['/.//evil.example', '/.//evil.example'],
    ['/\t/evil.example', '/%09/evil.example'],
    ['/\r\nSet-Cookie:x=1', '/%0D%0ASet-Cookie:x=1'],
    ['http://evil.example/page?aam_preview=1', '/page'],
    ['http://evil.example?aam_preview=1', '/'],
    ['HTTP://evil.example\\@shop.example//x', '/x'],
    ['http://evil.example//evil.example', '/evil.example'],
    ['http:/evil.example', '/http:/evil.example'],
    ['javascript:alert(1)', '/javascript:alert(1)'],
    ['evil.example', '/evil.example'],
    ['*', '/*'],
    ['', '/'],
    ['/page#aam_preview=1', '/page'],
    ['/\xff\u0100', '/%FF%C4%80'],
    ['/"><script>?`', '/%22%3E%3Cscript%3E?%60'],
    ['/\ud800?x=\u{1f600}', '/%EF%BF%BD?x=%F0%9F%98%80'],
  ])('of %j is %j', (target, expected) => {
    expect(without(target)).toBe(expected);
  });

  it('has the values of its parameter, and takes another one', () => {
    const url = localUrl('/page?aam_preview=1.a.b&x=1&aam_preview&aam_preview=');
    expect(url).toEqual({ path: '/page', others: ['x=1'], previews: ['1.a.b', '', ''] });
    expect([textOf(url), textOf(url, 'off')]).toEqual(['/page?x=1', '/page?x=1&aam_preview=off']);
    expect(textOf(localUrl('/page'), 'off')).toBe('/page?aam_preview=off');
  });

  it('never leaves the site, and fits into a header, whatever the target', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '/',
        '//',
        '\\',
        '..',
        '.',
        '?',
        '#',
        '&',
        '@',
        ':',
        '%2f',
        '%5c',
        '\t',
        '\r\n',
        'http:',
        'evil.example',
      ),
      fc.constantFrom('aam_preview=1.a.b', 'aam_preview', 'x=1'),
      fc.string({ unit: 'binary', maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        for (const prefix of ['', '/', 'http://evil.example']) {
          const text = textOf(localUrl(prefix + pieces.join('')), 'off');
          expect(text).toMatch(/^\/(?!\/)[\x21-\x7e]*$/);
          expect(text).not.toMatch(/[\\"<>`]/);
          expect(new URL(text, `${ORIGIN}/page`).origin).toBe(ORIGIN);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps all else of a URL as browsers send it', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true }), (given) => {
        const { pathname, search } = new URL(given);
        const target = pathname.replace(/^\/+/, '/') + search;
        const separator = search === '' ? '?' : '&';
        expect(without(`${target}${separator}aam_preview=1.a.b`)).toBe(target);
      }),
    );
  });
});
