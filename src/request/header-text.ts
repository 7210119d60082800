/**
 * Owns: reading a request header that other code may have replaced: serverless adapters and test tools set lists, numbers and
 * objects where Node sets text. Never throws. Next: bots.ts.
 */
import { itemsOf } from '../handed-over/reading';

/**
 * The text of a header; `undefined` without one. A list is joined, as Node joins repeated headers.
 * @param unreadable what to return for a header that is there and has no text: nobody knows what it says
 */
export function headerText<U>(value: unknown, unreadable: U, separator = ', '): string | undefined | U {
  if (value === undefined || typeof value === 'string') return value;
  if (value === null) return undefined;
  if (typeof value === 'number') return String(value);
  const parts = itemsOf(value);
  return parts?.every((part) => typeof part === 'string' || typeof part === 'number')
    ? parts.join(separator)
    : unreadable;
}
