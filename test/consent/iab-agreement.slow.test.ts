import { gppStringsAgree, tcStringsAgree } from './iab-agreement';

it('5 000 TC strings of versions 2.0 to 2.3 are read as the IAB’s library reads them', () => tcStringsAgree(5_000));

it('5 000 GPP strings are read as the IAB’s package reads them', () => gppStringsAgree(5_000));
