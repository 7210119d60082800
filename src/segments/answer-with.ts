/** Owns: an answer that has just the given segments, whoever the visitor is. Next: ../preview/. */
import { NO_ANSWER, type PackedAnswer, packAnswer, unpackAnswer, unpackedValue } from './packed-answer';
import { unpackedIds } from './packed-ids';
import { canonicalId, type Wanted } from './segment-refs';

export function answerWith(wanted: readonly Wanted[]): PackedAnswer {
  const ids = new Set<string>();
  const values = new Set<string>();
  for (const { id, value } of wanted) {
    if (id !== undefined) for (const each of unpackedIds(id, 0, id.length)) ids.add(each);
    if (value !== undefined) values.add(unpackedValue(value));
  }
  // As in an answer of the DCS: a value that is a number is an id, too.
  for (const value of values) if (canonicalId(value) === value) ids.add(value);
  return packAnswer({
    ...unpackAnswer(NO_ANSWER),
    ids: [...ids],
    values: values.size === 0 ? undefined : [...values],
  });
}
