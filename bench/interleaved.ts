export interface Comparison {
  readonly a: number;
  readonly b: number;
  /** Median of the pairs' ratios a / b. */
  readonly ratio: number;
  /** The 95 % confidence interval of the median ratio. */
  readonly interval: readonly [number, number];
  readonly pairs: number;
}

/**
 * Measures A and B in pairs, alternating which comes first, and compares them pair by pair, so that a temporary slowdown of the
 * machine affects both.
 */
export async function interleaved(
  measure: { readonly a: () => Promise<number> | number; readonly b: () => Promise<number> | number },
  { pairs, warmUp }: { readonly pairs: number; readonly warmUp: number },
): Promise<Comparison> {
  const as: number[] = [];
  const bs: number[] = [];
  for (let n = -warmUp; n < pairs; n++) {
    let a: number;
    let b: number;
    if (n % 2 === 0) {
      a = await measure.a();
      b = await measure.b();
    } else {
      b = await measure.b();
      a = await measure.a();
    }
    if (n < 0) continue;
    as.push(a);
    bs.push(b);
  }
  const ratios = as.map((a, n) => a / (bs[n] as number)).sort((x, y) => x - y);
  // Order statistics of the binomial distribution around the median.
  const spread = Math.ceil(0.98 * Math.sqrt(pairs));
  const at = (rank: number) => ratios[Math.min(pairs - 1, Math.max(0, rank))] as number;
  return {
    a: median(as),
    b: median(bs),
    ratio: median(ratios),
    interval: [at(Math.floor(pairs / 2) - spread), at(Math.ceil(pairs / 2) + spread - 1)],
    pairs,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Prints a comparison as a table and its ratio. */
export function print(title: string, unit: string, names: { a: string; b: string }, compared: Comparison): void {
  const { a, b, ratio, interval, pairs } = compared;
  console.log(`\n${title}`);
  console.table({ [names.a]: { [`median, ${unit}`]: rounded(a) }, [names.b]: { [`median, ${unit}`]: rounded(b) } });
  const [low, high] = interval.map((bound) => bound.toFixed(3));
  console.log(`ratio ${ratio.toFixed(3)} (95 % interval of the median ${low} to ${high}, ${pairs} interleaved pairs)`);
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
