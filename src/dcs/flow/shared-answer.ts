/** Owns: answers between a call and the other processes of a fleet, as texts whose form is not known here. */

/** What a call has brought. */
export interface AnswerBrought {
  readonly text: string;
  readonly ttlMs: number;
  /** Whether it answers every question about the visitor. */
  readonly isFinal: boolean;
}

/** What another process has brought. */
export interface AnswerFound extends AnswerBrought {
  readonly ageMs: number;
}
