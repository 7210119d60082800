/** Decoded query and form parameters; a repeated name has an array. */
export type DcsParams = Readonly<Record<string, string | string[]>>;

/** Decodes `name=value` lists; `undefined` if any parameter is malformed. */
export function paramsFrom(encodedLists: readonly string[]): DcsParams | undefined {
  const params = new Map<string, string | string[]>();
  try {
    for (const pair of encodedLists.flatMap((list) => list.split('&')).filter(Boolean)) {
      const equalsAt = pair.includes('=') ? pair.indexOf('=') : pair.length;
      const name = decode(pair.slice(0, equalsAt));
      const value = decode(pair.slice(equalsAt + 1));
      const earlier = params.get(name);
      params.set(name, earlier === undefined ? value : [earlier, value].flat());
    }
  } catch {
    return undefined;
  }
  return Object.fromEntries(params);
}

export function firstValue(params: DcsParams, name: string): string | undefined {
  const value = params[name];
  return Array.isArray(value) ? value[0] : value;
}

/** @throws URIError for a malformed percent sequence, and for bytes that are not UTF-8 */
function decode(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}
