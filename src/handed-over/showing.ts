/**
 * Owns: how a value of somebody else's is shown: escaped, and in messages cut to fit a log line, without ids (20 digits or more)
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
  return escaped(JSON.stringify(isCut ? `${harmless.slice(0, MAX_SHOWN)}...` : harmless));
}

/**
 * Text without characters that a terminal or a log would act upon instead of showing them: control characters, line breaks,
 * invisible ones and those that change the direction of writing, and halves of surrogate pairs. Each is shown as in JSON.
 */
export function escaped(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (each) => {
    const inJson = JSON.stringify(each).slice(1, -1);
    return inJson === each ? units(each) : inJson;
  });
}

function units(text: string): string {
  return text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
