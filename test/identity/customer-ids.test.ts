import type { VisitorId } from 'express-aam-segments';
import { usableCustomerIds } from '../../src/identity/customer-ids';
import { closeSites, createSite } from '../helpers/site';

afterEach(closeSites);

describe('usableCustomerIds', () => {
  const of = (dataSourceId: number, id: string) => ({ dataSourceId, id });

  it('takes the first ten', () => {
    const given = Array.from({ length: 12 }, (_, n) => of(n + 1, 'x'));
    expect(usableCustomerIds(given).ids).toEqual(given.slice(0, 10));
  });

  it('takes at most three of one data source', () => {
    const given = [of(1, 'a'), of(1, 'b'), of(2, 'c'), of(1, 'd'), of(1, 'e'), of(2, 'f')];
    expect(usableCustomerIds(given).ids.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'f']);
  });

  it('takes as many as fit into a request line', () => {
    const given = Array.from({ length: 5 }, (_, n) => of(n + 1, '€'.repeat(100)));
    expect(usableCustomerIds(given).ids).toHaveLength(3);
  });

  it.each([
    [of(0, 'x')],
    [of(1.5, 'x')],
    [of(1, '')],
    [of(1, 'a\x01b')],
    [of(1, '\ud800')],
    [{ integrationCode: '', id: 'x' }],
    [{ integrationCode: 'crm', dataSourceId: 1, id: 'x' }],
    [{ id: 'x' }],
    [{ ...of(1, 'x'), authState: 1 }],
    [null],
    ['x'],
  ])('skips the invalid %j and takes the others', (wrong) => {
    const { ids, problem } = usableCustomerIds([wrong, of(1, 'right')]);
    expect(ids).toEqual([of(1, 'right')]);
    expect(problem).toMatch(/must be/);
  });

  it('makes lookup() refuse invalid and too many ids', async () => {
    const { aam } = await createSite();
    for (const customerIds of [[], [{ id: 'x' }], 'x', Array.from({ length: 11 }, (_, n) => of(n + 1, 'x'))]) {
      const visitor = { customerIds } as unknown as VisitorId;
      await expect(aam.lookup(visitor)).rejects.toMatchObject({ code: 'ERR_AAM_INVALID_OPTION' });
    }
  });
});
