import type { Step } from './steps';

/**
 * The shortest history found that still breaks: of what was random, nearly all is left out. In chunks that grow smaller,
 * which takes a second where the shrinking of the generator, one step after the other, takes minutes.
 */
export async function shortened(
  history: readonly Step[],
  stillBreaks: (history: readonly Step[]) => Promise<boolean>,
): Promise<readonly Step[]> {
  let shortest = history;
  for (let size = Math.ceil(history.length / 2); size > 0; ) {
    let isShorter = false;
    for (let at = 0; at < shortest.length; ) {
      const candidate = [...shortest.slice(0, at), ...shortest.slice(at + size)];
      if (await stillBreaks(candidate)) {
        shortest = candidate;
        isShorter = true;
      } else {
        at += size;
      }
    }
    if (size === 1 && !isShorter) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return shortest;
}
