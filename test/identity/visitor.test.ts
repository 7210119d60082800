import { isVisitorId } from '../../src/identity/visitor';
import { A } from './reader';

describe('isVisitorId', () => {
  it('accepts 38 decimal digits only', () => {
    expect(isVisitorId(A)).toBe(true);
    for (const wrong of [`${A}1`, A.slice(1), `${A.slice(1)}\n`, ` ${A.slice(1)}`, '', undefined, Number(A)]) {
      expect(isVisitorId(wrong)).toBe(false);
    }
  });
});
