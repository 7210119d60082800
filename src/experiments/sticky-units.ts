/**
 * Owns: the units of visitors without an id: a random one in a signed cookie, so that they keep their variants. Next:
 * experiment.ts.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CookieFinder, type CookieSlot } from '../request/cookie-header';
import { setCookie } from '../request/set-cookie';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';
import { Signer, type SigningPurpose } from '../signing/signer';

export interface StickyCookieConfig {
  /** The first one signs, all of them verify. */
  readonly secrets: readonly [string, ...string[]];
  readonly name: string;
  readonly maxAgeMs: number;
  /** Whether it stays where a visitor counts as having refused, since that may only be the site's function being late. */
  readonly isKeptOnRefusal: boolean;
}

/** A request, as Express makes it; Connect sets less. */
interface CookieRequest extends IncomingMessage {
  readonly cookies?: unknown;
  /** Whether it came by HTTPS, as the setting `trust proxy` says. */
  readonly secure?: boolean;
}

interface NotedUnit {
  readonly unit: string | undefined;
}

/** 128 bits: no two visitors get the same. */
const ID_BYTES = 16;

export class StickyUnits {
  readonly #config: StickyCookieConfig;
  readonly #privacy: Instance['privacy'];
  readonly #signer: Signer;
  readonly #finder = new CookieFinder();
  readonly #slot: CookieSlot;

  constructor(config: StickyCookieConfig, account: Omit<SigningPurpose, 'purpose'>, privacy: Instance['privacy']) {
    this.#config = config;
    this.#privacy = privacy;
    this.#signer = new Signer(config.secrets, { ...account, purpose: 'experiment-unit' });
    this.#slot = this.#finder.register(config.name);
  }

  /** The unit in the request's cookie, else a new one, which is set; `undefined` if it is too late for that. */
  unitOf(req: IncomingMessage, segments: VisitorSegments): string | undefined {
    const notes = VisitorSegments.readingOf(segments);
    // A cookie that is set with the response is not in the request.
    let noted = notes?.noteOf(this) as NotedUnit | undefined;
    if (noted === undefined) {
      noted = { unit: this.#inCookie(req) ?? this.#begun(req, segments) };
      notes?.note(this, noted);
    }
    return noted.unit;
  }

  /** Deletes the cookie of a visitor who has refused. */
  end(req: IncomingMessage, segments: VisitorSegments): void {
    if (!this.#config.isKeptOnRefusal && this.#valuesIn(req).length > 0) this.#set(req, segments, '', 0);
  }

  #inCookie(req: IncomingMessage): string | undefined {
    for (const value of this.#valuesIn(req)) {
      const [unit, expiresAtMs] = this.#signer.verified(value)?.split('.') ?? [];
      if (unit !== undefined && Number(expiresAtMs) > Date.now()) return unit;
    }
    return undefined;
  }

  #valuesIn(req: CookieRequest): readonly string[] {
    try {
      const { cookie } = req.headers;
      const found = this.#finder.find(cookie, cookie === undefined ? req.cookies : undefined);
      return (found[this.#slot] ?? []).map(({ text, start, end }) => text.slice(start, end));
    } catch {
      return []; // a getter or proxy of somebody else's
    }
  }

  #begun(req: IncomingMessage, segments: VisitorSegments): string | undefined {
    const { maxAgeMs } = this.#config;
    const unit = randomBytes(ID_BYTES).toString('base64url');
    const isSet = this.#set(req, segments, this.#signer.sign(`${unit}.${Date.now() + maxAgeMs}`), maxAgeMs);
    return isSet ? unit : undefined;
  }

  #set(req: IncomingMessage, segments: VisitorSegments, value: string, maxAgeMs: number): boolean {
    const { name } = this.#config;
    const cookie = setCookie(name, value, { isSecure: isPrefixed(name) || isSecure(req), maxAgeMs });
    return VisitorSegments.readingOf(segments)?.addCookie(cookie, this.#privacy) ?? false;
  }
}

/** Browsers accept such names with `Secure` only. */
function isPrefixed(name: string): boolean {
  return /^__(?:Host|Secure)-/i.test(name);
}

function isSecure(req: CookieRequest): boolean {
  try {
    return req.secure === true || (req.socket as { encrypted?: unknown }).encrypted === true;
  } catch {
    return false;
  }
}
