/**
 * Owns: how a value of somebody else's is shown in a message: cut to fit a log line, escaped, and without ids (20 digits or more)
 * and passwords in URLs. Next: ../option-checks.ts.
 */
const MAX_SHOWN = 100;
/** Long enough for what is shown, and short enough to be searched in no time. */
const MAX_READ = 1_000;

/** Text in quotes. */
export function quoted(text: string): string {
  // A run of digits that is cut would not be recognised.
  const start = text.length > MAX_READ ? text.slice(0, MAX_READ).replace(/\d+$/, '') : text;
  const harmless = start.replace(/(:|\/\/).*@/gs, '$1…@').replace(/\d{20,}/g, '…');
  const isCut = harmless.length > MAX_SHOWN || start.length < text.length;
  const shown = JSON.stringify(isCut ? `${harmless.slice(0, MAX_SHOWN)}...` : harmless);
  return shown.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
