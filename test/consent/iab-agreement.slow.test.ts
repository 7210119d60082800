import { gppStringsAgree, tcStringsAgree } from './iab-agreement';

/** `IAB_STRINGS=20000 npx jest --selectProjects slow --testPathPatterns iab-agreement` for more than a run of all tests has time for. */
const STRINGS = Number(process.env.IAB_STRINGS ?? 5_000);

jest.setTimeout(STRINGS * 20);

it('TC strings of versions 2.0 to 2.3 are read as the IAB’s library reads them', () => tcStringsAgree(STRINGS));

it('GPP strings are read as the IAB’s package reads them', () => gppStringsAgree(STRINGS));
