import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import Handlebars from 'handlebars';
import nunjucks from 'nunjucks';
import pug from 'pug';
import { dataScript } from '../../src/bootstrap/script-element';
import { bootstrapIn } from './elements';
import { anyData } from './strings';

const docs = readFileSync(join(__dirname, '..', '..', 'docs', 'bootstrap.md'), 'utf8');
/** The template in docs/bootstrap.md. */
const templateIn = (language: string) =>
  (new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(docs) as RegExpExecArray)[1] as string;

/** It comes without types. */
const ejs = jest.requireActual<{ compile(template: string): (locals: Locals) => string }>('ejs');

interface Locals {
  readonly bootstrap: string;
}

describe('the templates of docs/bootstrap.md', () => {
  it.each<[string, (template: string) => (locals: Locals) => string]>([
    ['ejs', (template) => ejs.compile(template)],
    ['pug', (template) => pug.compile(template)],
    ['handlebars', (template) => Handlebars.compile(template)],
    [
      'njk',
      (template) =>
        (
          (compiled) => (locals) =>
            compiled.render(locals)
        )(nunjucks.compile(template)),
    ],
  ])('put any data into the page as they are: %s', (language, compile) => {
    const render = compile(templateIn(language));
    fc.assert(
      fc.property(anyData, (data) => {
        expect(bootstrapIn(render({ bootstrap: dataScript('aam-segments', data, 'bm9uY2U=') }))).toEqual(data);
      }),
    );
  });

  it('need no triple braces in Handlebars for a SafeString', () => {
    expect(docs).toContain('new Handlebars.SafeString(bootstrap)');
    const bootstrap = new Handlebars.SafeString(dataScript('aam-segments', [1], undefined));
    expect(bootstrapIn(Handlebars.compile('{{bootstrap}}')({ bootstrap }))).toEqual([1]);
  });
});
