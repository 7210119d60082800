import { REGIONAL_ORIGINS, Regions } from '../../../src/dcs/protocol/regions';

const HOSTS: readonly (readonly [number, string])[] = [
  [3, 'apse.demdex.net'],
  [4, 'sae.demdex.net'],
  [6, 'irl1.demdex.net'],
  [7, 'use.demdex.net'],
  [8, 'apse2.demdex.net'],
  [9, 'usw2.demdex.net'],
  [11, 'tyo3.demdex.net'],
  [12, 'ind1.demdex.net'],
];

const regions = new Regions(
  new Map(Object.entries(REGIONAL_ORIGINS).map(([region, origin]) => [Number(region), new URL(origin)])),
  new URL('https://acme.demdex.net'),
);

describe('REGIONAL_ORIGINS', () => {
  it('has exactly the eight documented regions, over HTTPS', () => {
    expect(REGIONAL_ORIGINS).toEqual(Object.fromEntries(HOSTS.map(([id, host]) => [id, `https://${host}`])));
  });
});

describe('Regions', () => {
  it.each(HOSTS)('maps region %i to %s', (region, host) => {
    expect(regions.has(region)).toBe(true);
    expect(regions.originOf(region).href).toBe(`https://${host}/`);
  });

  it.each([1, 2, 5, 10, 0, -9, 13, 9.5, Number.NaN])('maps region %p, which is not in use, to the alias', (region) => {
    expect(regions.has(region)).toBe(false);
    expect(regions.originOf(region).href).toBe('https://acme.demdex.net/');
  });

  it('maps an unknown region to the alias', () => {
    expect(regions.originOf(undefined).href).toBe('https://acme.demdex.net/');
  });

  it('has only the regions of the table it was given', () => {
    const own = new Regions(new Map([[99, new URL('http://127.0.0.1:8080')]]), new URL('http://127.0.0.1:8081'));
    expect([own.originOf(99).port, own.originOf(9).port]).toEqual(['8080', '8081']);
    expect([own.has(99), own.has(9)]).toEqual([true, false]);
  });
});
