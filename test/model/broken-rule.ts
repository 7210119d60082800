/** A rule of the flow does not hold. The name of the rule tells which; the rest is for whoever looks for the cause. */
export class BrokenRule extends Error {
  readonly rule: string;

  constructor(rule: string, details = '') {
    super(details === '' ? rule : `${rule}: ${details}`);
    this.rule = rule;
  }
}

/** @param details asked for only where the rule is broken */
export function must(holds: boolean, rule: string, details?: () => string): void {
  if (!holds) throw new BrokenRule(rule, details?.());
}
