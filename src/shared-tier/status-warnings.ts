/** Owns: the warning about a shared store that is of no use, once for each outage. */
import { Warnings } from '../diagnosis/warnings';
import type { SharedStatus, StatusListener } from './shared-tier';

/** @param next told of each change as well */
export function warnOfOutages(next: StatusListener): StatusListener {
  const warnings = new Warnings();
  let isOutage = false;
  let outages = 0;
  return (status: SharedStatus, previous: SharedStatus) => {
    if (status === 'ready') isOutage = false;
    if (status === 'failing' && !isOutage) {
      isOutage = true;
      outages++;
      warnings.warn(
        'WRN_AAM_SHARED_STORE',
        'The shared store cannot be used, or its messages do not arrive. Meanwhile each process goes by its own cache, and ' +
          'each may ask the DCS about a visitor. stats().shared says what fails; the next warning is about the next outage.',
        `outage ${outages}`,
      );
    }
    next(status, previous);
  };
}
