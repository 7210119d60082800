/**
 * Owns: the URL of a request as a reference that cannot leave the site, with and without the parameter of a preview. Everything
 * else of the query stays as it was sent. Next: previews.ts.
 */

/** The query parameter that begins a preview, and ends one. */
export const PREVIEW_PARAMETER = 'aam_preview';
export const END = 'off';

/** A scheme and a host, as proxies send them; then path and query. A fragment is not sent, and would be cut off. Always matches. */
const TARGET = /^(?:[a-z][a-z\d+.-]*:\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/i;

export interface LocalUrl {
  /** Begins with one slash. */
  readonly path: string;
  /** As they stand in the query, without that of previews. */
  readonly others: readonly string[];
  /** The values of the parameter of previews, as they stand. */
  readonly previews: readonly string[];
}

export function localUrl(target: string): LocalUrl {
  const [, path = '', query] = TARGET.exec(target) as RegExpExecArray;
  const { others, previews } = parametersOf(query);
  // Browsers take two slashes at the start for a host, and a backslash for a slash.
  return { path: `/${escaped(path.replace(/^\/+/, ''))}`, others: others.map(escaped), previews };
}

/** Separates the parameter of previews from the others. */
export function parametersOf(query: string | undefined): Pick<LocalUrl, 'others' | 'previews'> {
  const all = query === undefined ? [] : query.split('&');
  const mark = `${PREVIEW_PARAMETER}=`;
  const isPreview = (parameter: string) => parameter === PREVIEW_PARAMETER || parameter.startsWith(mark);
  return {
    others: all.filter((parameter) => !isPreview(parameter)),
    previews: all.filter(isPreview).map((parameter) => parameter.slice(mark.length)),
  };
}

/** @param value of the parameter of previews; left out if not given */
export function textOf({ path, others }: LocalUrl, value?: string): string {
  const parameters = value === undefined ? others : [...others, `${PREVIEW_PARAMETER}=${value}`];
  return parameters.length === 0 ? path : `${path}?${parameters.join('&')}`;
}

/** For a header and for a link in a page. Node passes on what is not ASCII byte by byte. */
function escaped(text: string): string {
  return text.replace(/[^\x21-\x7e]|[\\"<>`]/gu, (character) => {
    const bytes = Buffer.from(character, character > '\xff' ? 'utf8' : 'latin1');
    return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  });
}
