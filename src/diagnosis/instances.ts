/**
 * Owns: whether instances are created in requests, each with a cache and sockets of its own. No stack is looked at, which differs
 * between versions of Express, and no context of a request is kept, which would cost every request.
 *
 * Two signs, neither of which a site that creates its instances at startup shows: an instance that is handed a request before
 * the code that created it has returned to the event loop, for the second time (the first may be one that is created when it is
 * needed, and kept); and many instances with the same account that nobody has closed. Next: ../middleware.ts.
 */
import { fieldsOf } from '../handed-over/reading';
import { Warnings } from './warnings';

/** More than a site has routers with options of their own; a site that creates one in each request has them in a moment. */
const MAX_OPEN = 10;
/** Accounts that are counted: their ids may come from requests, too. */
const MAX_ACCOUNTS = 1_000;

/** By account. */
interface Account {
  open: number;
  inRequests: number;
}

const accounts = new Map<string, Account>();
const warnings = new Warnings();

/** One instance of the middleware or client. */
export class InstanceWatch {
  /** Whether the code that creates the instance is still running. */
  isBeingCreated = true;
  readonly #factory: string;
  readonly #key: string;
  readonly #account: Account;
  #isOpen = true;

  /** @param factory the function that creates it, as in `aamSegments()` */
  constructor(factory: string, orgId: string, partnerHost: string) {
    this.#factory = factory;
    this.#key = `${factory} ${orgId} ${partnerHost}`;
    this.#account = accounts.get(this.#key) ?? { open: 0, inRequests: 0 };
    if (accounts.size < MAX_ACCOUNTS) accounts.set(this.#key, this.#account);
    if (++this.#account.open === MAX_OPEN) {
      const what = `${MAX_OPEN} instances of ${factory} with one orgId and partner are open in this process`;
      this.#warn(`${what}. Is one created in each request? ${ADVICE}, and close() what is no longer needed.`);
    }
    // Not a timer, which tests replace.
    Promise.resolve().then(() => {
      this.isBeingCreated = false;
    });
  }

  /** Called with the request that the instance is handed while it {@link isBeingCreated}. */
  sees(req: unknown): void {
    const socket = fieldsOf(req, ['socket'])?.socket;
    // A request that did not come through a socket is made up by a test, which may well do so.
    if (!this.isBeingCreated || fieldsOf(socket, ['remoteAddress'])?.remoteAddress === undefined) return;
    this.isBeingCreated = false;
    if (++this.#account.inRequests === 2) {
      const what = `${this.#factory} was called while a request was served, for the second time`;
      this.#warn(`${what}. Is it called in each request, so that its cache is always empty? ${ADVICE}.`);
    }
  }

  closed(): void {
    if (this.#isOpen) this.#account.open--;
    this.#isOpen = false;
  }

  #warn(message: string): void {
    warnings.warn('WRN_AAM_CREATED_PER_REQUEST', message, this.#key);
  }
}

const ADVICE = 'Create it once, at startup, and use it in all requests';
