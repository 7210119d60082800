/**
 * Owns: signed texts that visitors carry, in a link or a cookie: `1.<text>.<MAC>`, both parts in base64url. Signed, not
 * encrypted. It knows neither what the text says nor how long it is valid: that is part of the text. Next: ../preview/ and
 * ../experiments/.
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';

const VERSION = '1';
/** As long as a cookie may be. */
const MAX_LENGTH = 4_096;
/** 43 characters are the 32 bytes of SHA-256. */
const SIGNED = /^1\.([\w-]+)\.([\w-]{43})$/;

/** Who signs, and what for. Whatever was signed for anything else is not accepted. */
export interface SigningPurpose {
  readonly purpose: 'preview-link' | 'preview-cookie' | 'experiment-unit';
  readonly orgId: string;
  readonly partnerHost: string;
}

export class Signer {
  readonly #keys: readonly [KeyObject, ...KeyObject[]];

  /** @param secrets the first one signs, all of them verify */
  constructor(secrets: readonly [string, ...string[]], { purpose, orgId, partnerHost }: SigningPurpose) {
    // As JSON, since no two lists are the same text. RFC 5869: `info` makes the keys independent of each other.
    const info = JSON.stringify(['express-aam-segments', VERSION, purpose, orgId, partnerHost]);
    const keyOf = (secret: string) => createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', info, 32)));
    const [first, ...others] = secrets;
    this.#keys = [keyOf(first), ...others.map(keyOf)];
  }

  /** Only letters, digits, `-`, `_` and `.`: nothing that a URL or a cookie would have to escape. */
  sign(text: string): string {
    const encoded = Buffer.from(text).toString('base64url');
    return `${VERSION}.${encoded}.${macOf(encoded, this.#keys[0])}`;
  }

  /** The text; `undefined` if it was not signed by one of the secrets, for this purpose, exactly as it is. */
  verified(signed: string): string | undefined {
    if (signed.length > MAX_LENGTH) return undefined;
    const [, encoded, mac] = SIGNED.exec(signed) ?? [];
    if (encoded === undefined || mac === undefined) return undefined;
    // The encoded forms are compared: a decoder would take several spellings of the same bytes.
    const given = Buffer.from(mac);
    let isSigned = false;
    for (const key of this.#keys) {
      if (timingSafeEqual(given, Buffer.from(macOf(encoded, key)))) isSigned = true;
    }
    return isSigned ? Buffer.from(encoded, 'base64url').toString() : undefined;
  }
}

function macOf(encoded: string, key: KeyObject): string {
  return createHmac('sha256', key).update(`${VERSION}.${encoded}`).digest('base64url');
}
