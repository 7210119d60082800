import type { AssignmentReason } from 'express-aam-segments';
import type { Aam } from './aam';

/** Does a free lesson on the landing page bring golf fans to the weekend? */
const LESSON = { name: 'free-lesson', variants: { control: 50, lesson: 50 }, audience: 'golfFans' } as const;

export type Experiments = ReturnType<typeof defineExperiments>;

/** Defines the A/B tests of the shop. A name can be defined once per instance. */
export function defineExperiments(aam: Aam) {
  return { lesson: aam.experiment(LESSON) };
}

/** For the page on which marketers make preview links. */
export const PREVIEWABLE = [{ name: LESSON.name, variants: Object.keys(LESSON.variants) }] as const;

/** Why a visitor has their variant, in the panel. */
export const WHY: Readonly<Record<AssignmentReason, string>> = {
  assigned: 'drawn for this visitor',
  'not-in-audience': 'not a golf fan, so not in it',
  unknown: 'no answer in time, so not in it',
  'no-unit': 'no visitor id, so not in it',
  excluded: 'not asked about, so not in it',
  holdout: 'held out of all experiments',
  preview: 'as a preview decides',
};
