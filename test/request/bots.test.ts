import { BotDetector } from '../../src/request/bots';
import { isPrefetch } from '../../src/request/prefetch';

const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

describe('BotDetector', () => {
  it('recognises bots by their User-Agent', () => {
    const bots = new BotDetector();
    for (const bot of ['Googlebot/2.1 (+http://www.google.com/bot.html)', 'curl/8.5.0', 'HeadlessChrome/140.0.0.0']) {
      expect([bots.isBot(bot), bots.isBot(bot)]).toEqual([true, true]);
    }
  });

  it('accepts browsers, and requests without a User-Agent', () => {
    const bots = new BotDetector();
    expect([bots.isBot(CHROME), bots.isBot(CHROME)]).toEqual([false, false]);
    expect(bots.isBot(undefined)).toBe(false);
    expect(bots.isBot('')).toBe(false);
  });

  it.each(['Telekom.de', 'T-Mobile', 'Google Fi', 'AT&T', ''])(
    'accepts Facebook’s app on Android, which sends the name of the carrier: %s',
    (carrier) => {
      const app = `[FBAN/FB4A;FBAV/279.0.0.43.120;FBBV/231020883;FBDM/{density=3.0,width=1080,height=1792};FBLC/de_DE;FBRV/233720555;FBCR/${carrier};FBMF/HUAWEI;FBBD/HUAWEI;FBPN/com.facebook.katana;FBDV/VTR-L09;FBSV/9;FBOP/1;FBCA/arm64-v8a:;]`;
      const inApp = `Mozilla/5.0 (Linux; Android 9; VTR-L09; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/83.0.4103.106 Mobile Safari/537.36 ${app}`;
      const bots = new BotDetector();
      expect([app, inApp, app.slice(0, -1)].map((userAgent) => bots.isBot(userAgent))).toEqual([false, false, false]);
      expect(bots.isBot(`facebookexternalhit/1.1 ${app}`)).toBe(true);
    },
  );

  it('still recognises a long name without a blank as a scanner’s', () => {
    expect(new BotDetector().isBot(`x${'FBCR/Telekom.de;'.repeat(8)}`)).toBe(true);
  });

  it('looks at the first 1024 characters only', () => {
    const bots = new BotDetector();
    expect(bots.isBot(`Googlebot/2.1 ${'x'.repeat(100_000)}`)).toBe(true);
    expect(bots.isBot(`${CHROME} ${'x'.repeat(100_000)} Googlebot/2.1`)).toBe(false);
  });
});

describe('isPrefetch', () => {
  it.each([
    [{ 'sec-purpose': 'prefetch' }, true],
    [{ 'sec-purpose': 'prefetch;prerender' }, true],
    [{ 'sec-purpose': 'prefetch;anonymous-client-ip' }, true],
    [{ purpose: 'prefetch' }, true],
    [{ purpose: 'preview' }, true],
    [{ 'x-sec-purpose': 'prefetch' }, true],
    [{ 'x-purpose': 'preview' }, true],
    [{ 'x-moz': 'prefetch' }, true],
    [{ 'sec-purpose': 'navigate' }, false],
    [{ purpose: 'unprefetchable' }, false],
    [{}, false],
  ])('%j: %p', (headers, expected) => {
    expect(isPrefetch(headers)).toBe(expected);
  });
});
