/** Owns: where a code is explained. Every error and every warning links there. Next: warnings.ts. */

/** The page with a paragraph for each code. It is part of the package. */
const TROUBLESHOOTING = 'express-aam-segments/docs/troubleshooting.md';

/** The paragraph about a code, `ERR_AAM_...` or `WRN_AAM_...`. */
export function helpFor(code: string): string {
  return `${TROUBLESHOOTING}#${code.toLowerCase()}`;
}
