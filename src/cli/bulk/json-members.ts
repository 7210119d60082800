/** Owns: where the members of a JSON object stand in its text, so that one can be changed and the others stay as they are. */

export interface Member {
  readonly key: string;
  /** The text of its value is from `start` to `end`. */
  readonly start: number;
  readonly end: number;
}

const BLANK = /[ \t\r\n]*/y;

/** @param text a valid JSON object */
export function membersOf(text: string): { readonly members: readonly Member[]; readonly close: number } {
  const members: Member[] = [];
  let at = afterBlank(text, text.indexOf('{') + 1);
  while (text[at] !== '}') {
    const keyEnd = afterString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    const start = afterBlank(text, afterBlank(text, keyEnd) + 1);
    const end = afterValue(text, start);
    members.push({ key, start, end });
    at = afterBlank(text, end);
    if (text[at] === ',') at = afterBlank(text, at + 1);
  }
  return { members, close: at };
}

/** Puts a member into the text of an object: in the place of its value of that name, or behind the last one. */
export function withMember(text: string, key: string, value: string): string {
  const { members, close } = membersOf(text);
  // Of a repeated key, the last one counts.
  const present = members.findLast((member) => member.key === key);
  if (present !== undefined) return text.slice(0, present.start) + value + text.slice(present.end);
  const at = members.at(-1)?.end ?? close;
  return `${text.slice(0, at)}${members.length > 0 ? ',' : ''}${JSON.stringify(key)}:${value}${text.slice(at)}`;
}

function afterBlank(text: string, at: number): number {
  BLANK.lastIndex = at;
  BLANK.test(text);
  return BLANK.lastIndex;
}

function afterString(text: string, at: number): number {
  for (let next = at + 1; ; next++) {
    if (text[next] === '"') return next + 1;
    if (text[next] === '\\') next++;
  }
}

function afterValue(text: string, start: number): number {
  if (text[start] === '"') return afterString(text, start);
  let depth = 0;
  for (let at = start; ; ) {
    const char = text[at];
    if (char === '"') {
      at = afterString(text, at);
      continue;
    }
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']' || char === ',') {
      if (depth === 0) return trimmedEnd(text, at);
      if (char !== ',') depth--;
      if (depth === 0 && char !== ',') return at + 1;
    }
    at++;
  }
}

function trimmedEnd(text: string, end: number): number {
  let at = end;
  while (/[ \t\r\n]/.test(text[at - 1] as string)) at--;
  return at;
}
