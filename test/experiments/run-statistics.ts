/** `npm run experiments`: how fairly units are assigned, over 200 000 of them with a fixed seed. docs/experiments.md has the output. */
import { printed, statisticsOf } from './statistics';

const verdicts = statisticsOf(200_000);
process.stdout.write(printed(verdicts));
process.exitCode = verdicts.every(({ isFine }) => isFine) ? 0 : 1;
