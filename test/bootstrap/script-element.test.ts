import fc from 'fast-check';
import { dataScript } from '../../src/bootstrap/script-element';
import { type Element, elementsOf, textOf } from './elements';
import { anyData } from './strings';

const pageWith = (script: string) => `<!doctype html><title>x</title><body><p>before</p>${script}<p>after</p></body>`;
const PAGE = ['html', 'head', 'title', 'body', 'p', 'script', 'p'];

describe('the script element', () => {
  it('holds any data, which come back the same, and changes nothing of the page around it', () => {
    fc.assert(
      fc.property(anyData, (data) => {
        const elements = elementsOf(pageWith(dataScript('x', data, undefined)));
        expect(elements.map(({ tagName }) => tagName)).toEqual(PAGE);
        expect(JSON.parse(textOf(elements[5] as Element))).toEqual(data);
        expect(textOf(elements[6] as Element)).toBe('after');
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the same where it is put into a page by String.replace(), in XHTML, and in any encoding', () => {
    fc.assert(
      fc.property(anyData, (data) => {
        const script = dataScript('x', data, undefined);
        expect('<body>HERE</body>'.replace('HERE', script)).toBe(`<body>${script}</body>`);
        expect(script.slice(script.indexOf('>') + 1, -'</script>'.length)).toMatch(/^[^<>&\x7f-\uffff]*$/);
      }),
    );
  });

  it('has the id, and the nonce where there is one', () => {
    expect(dataScript('x', [1], undefined)).toBe('<script type="application/json" id="x">[1]</script>');
    expect(dataScript('x', [1], 'bm9uY2U=')).toBe(
      '<script type="application/json" id="x" nonce="bm9uY2U=">[1]</script>',
    );
  });
});
