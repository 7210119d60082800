/**
 * Owns: what is signed for a preview: once for its link, and once more for the cookie that the link is exchanged for. Neither is
 * accepted in the other's place. Next: previews.ts.
 */
import { Signer, type SigningPurpose } from '../signing/signer';
import type { ResolvedPreviewLink } from './preview-options';

export interface PreviewConfig {
  /** The first one signs, all of them verify. */
  readonly secrets: readonly [string, ...string[]];
}

/** What a link and its cookie say. */
export interface PreviewContent extends Pick<ResolvedPreviewLink, 'segments' | 'variants'> {
  /** The name of the only host that it is valid for, without a port, which cookies do not know either. */
  readonly host: string;
  /** Whether the link is one of HTTPS. */
  readonly isSecure: boolean;
  /** In milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** The names of its cookie. Browsers accept the first one from the host itself only, not from a neighbour under the same domain. */
export const SECURE_COOKIE = '__Host-aam_preview';
export const PLAIN_COOKIE = 'aam_preview';

export class PreviewTokens {
  readonly #links: Signer;
  readonly #cookies: Signer;

  constructor({ secrets }: PreviewConfig, account: Omit<SigningPurpose, 'purpose'>) {
    this.#links = new Signer(secrets, { ...account, purpose: 'preview-link' });
    this.#cookies = new Signer(secrets, { ...account, purpose: 'preview-cookie' });
  }

  forLink(content: PreviewContent): string {
    return this.#links.sign(JSON.stringify(content));
  }

  forCookie(content: PreviewContent): string {
    return this.#cookies.sign(JSON.stringify(content));
  }

  /** `undefined` if the token was not signed for a link, or has expired. */
  inLink(token: string): PreviewContent | undefined {
    return unexpired(this.#links.verified(token));
  }

  inCookie(token: string): PreviewContent | undefined {
    return unexpired(this.#cookies.verified(token));
  }
}

/** What has been signed is in the form in which this version writes it. */
function unexpired(signed: string | undefined): PreviewContent | undefined {
  if (signed === undefined) return undefined;
  const content = JSON.parse(signed) as PreviewContent;
  return content.expiresAtMs > Date.now() ? content : undefined;
}
