/** Owns: what a check of `doctor` has found. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'FAIL' | 'unsure';
  readonly found: string;
  /** How to fix it. */
  readonly advice?: string | undefined;
}
