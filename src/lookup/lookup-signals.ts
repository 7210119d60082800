import { encodedSignals } from '../dcs/protocol/signals';
import { SiteCallback } from '../request/site-callback';

/** Of the 32 000 bytes of a call, the rest is for the visitor's ids and consent string. */
const MAX_ENCODED_LENGTH = 20_000;
const IGNORED = 'The lookup is made without signals.';

/** The signals that the option `signals` returns for a request. If they are unusable, the lookup is made without them. */
export class LookupSignals {
  readonly #signals: SiteCallback<unknown>;

  constructor(signals: (req: unknown) => unknown) {
    this.#signals = new SiteCallback('options.signals', 'WRN_AAM_SIGNALS', signals);
  }

  /** The encoded signals; empty for none. */
  of(req: unknown): string {
    const given = this.#signals.callSync(req, undefined);
    if (given === undefined || given === null) return '';
    try {
      const encoded = encodedSignals(given);
      if (encoded.length <= MAX_ENCODED_LENGTH) return encoded;
      this.#signals.complain(`: The signals take more than ${MAX_ENCODED_LENGTH} bytes. ${IGNORED}`);
    } catch (error) {
      this.#signals.complain(`: ${(error as Error).message} ${IGNORED}`);
    }
    return '';
  }
}
