import { Robots } from '../../src/request/bots';
import { isSpeculative } from '../../src/request/prefetch';

const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

describe('Robots', () => {
  it('are recognised by what they call themselves', () => {
    const robots = new Robots();
    for (const robot of ['Googlebot/2.1 (+http://www.google.com/bot.html)', 'curl/8.5.0', 'HeadlessChrome/140.0.0.0']) {
      expect([robots.isRobot(robot), robots.isRobot(robot)]).toEqual([true, true]);
    }
  });

  it('are not visitors with a browser, nor who says nothing', () => {
    const robots = new Robots();
    expect([robots.isRobot(CHROME), robots.isRobot(CHROME)]).toEqual([false, false]);
    expect(robots.isRobot(undefined)).toBe(false);
    expect(robots.isRobot('')).toBe(false);
  });

  it('are recognised in the beginning of what is too long', () => {
    const robots = new Robots();
    expect(robots.isRobot(`Googlebot/2.1 ${'x'.repeat(100_000)}`)).toBe(true);
    expect(robots.isRobot(`${CHROME} ${'x'.repeat(100_000)} Googlebot/2.1`)).toBe(false);
  });
});

describe('a speculative request', () => {
  it.each([
    [{ 'sec-purpose': 'prefetch' }, true],
    [{ 'sec-purpose': 'prefetch;prerender' }, true],
    [{ 'sec-purpose': 'prefetch;anonymous-client-ip' }, true],
    [{ purpose: 'prefetch' }, true],
    [{ purpose: 'preview' }, true],
    [{ 'x-moz': 'prefetch' }, true],
    [{ 'sec-purpose': 'navigate' }, false],
    [{ purpose: 'unprefetchable' }, false],
    [{}, false],
  ])('%j: %p', (headers, isAhead) => {
    expect(isSpeculative(headers)).toBe(isAhead);
  });
});
