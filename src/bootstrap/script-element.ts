/** Owns: data as a script element that nothing in the data can end or change. */

/**
 * What must not stand in the element as it is: `<`, `>` and `&` have a meaning in HTML and XML, such as in `</script>`, `<!--`
 * and `]]>`. `$` has one in the replacement of `String.replace()`, by which some sites fill their templates. All but ASCII is
 * escaped, too, so that the data do not depend on the encoding of the page. JSON has these characters in strings only.
 */
const TO_ESCAPE = /[<>&$\u007f-\uffff]/g;

/**
 * A script element that holds data: browsers do not run it, and no Content Security Policy stops it.
 * @param nonce checked by the caller
 */
export function dataScript(id: string, data: unknown, nonce: string | undefined): string {
  const json = JSON.stringify(data).replace(TO_ESCAPE, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  const nonceAttribute = nonce === undefined ? '' : ` nonce="${nonce}"`;
  return `<script type="application/json" id="${id}"${nonceAttribute}>${json}</script>`;
}
