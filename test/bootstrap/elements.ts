import { type DefaultTreeAdapterTypes, parse } from 'parse5';

export type Element = DefaultTreeAdapterTypes.Element;

/** The elements of a document, in their order, as an HTML parser finds them. */
export function elementsOf(html: string): Element[] {
  const walk = (node: DefaultTreeAdapterTypes.ParentNode): Element[] =>
    node.childNodes.flatMap((child) => ('tagName' in child ? [child, ...walk(child)] : []));
  return walk(parse(html));
}

/** The text of an element, with the names of all other nodes in it. */
export function textOf({ childNodes }: Element): string {
  return childNodes
    .map((child) => (child.nodeName === '#text' && 'value' in child ? child.value : `[${child.nodeName}]`))
    .join('');
}

/** What the bootstrap of a page says. */
export function bootstrapIn(html: string): unknown {
  const isIt = ({ tagName, attrs }: Element) =>
    tagName === 'script' && attrs.some(({ name, value }) => name === 'id' && value === 'aam-segments');
  const [script, ...more] = elementsOf(html).filter(isIt);
  if (script === undefined || more.length > 0) throw new Error('not exactly one bootstrap in the page');
  return JSON.parse(textOf(script));
}
