import { encodedSignals } from '../dcs/protocol/signals';
import { SiteCallback } from '../request/site-callback';

/** A call takes 32 000 bytes; the rest is for the visitor's ids and consent string. */
const MAX_ENCODED_LENGTH = 20_000;

/** What the site's function `signals` says of a request. Whatever is wrong with it, the lookup goes without. */
export class LookupSignals {
  readonly #signals: SiteCallback<unknown>;

  constructor(signals: (req: unknown) => unknown) {
    this.#signals = new SiteCallback('options.signals', 'WRN_AAM_SIGNALS', signals);
  }

  /** Encoded; empty for none. */
  of(req: unknown): string {
    const given = this.#signals.call(req, undefined);
    if (given === undefined || given === null) return '';
    try {
      const encoded = encodedSignals(given);
      if (encoded.length <= MAX_ENCODED_LENGTH) return encoded;
      this.#signals.complain(`: more than ${MAX_ENCODED_LENGTH} bytes; the lookup goes without`);
    } catch (error) {
      this.#signals.complain(`: ${(error as Error).message}; the lookup goes without`);
    }
    return '';
  }
}
