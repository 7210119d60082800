/** `npm run experiments`: how fairly units are assigned, over 200 000 of them with a fixed seed. */
import { statisticsOf } from './statistics';

const verdicts = statisticsOf(200_000);
for (const { question, detail, isFine } of verdicts) console.log(`${isFine ? 'fine' : 'OFF '}  ${question}: ${detail}`);
process.exitCode = verdicts.every(({ isFine }) => isFine) ? 0 : 1;
