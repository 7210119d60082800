/** Owns: the `Set-Cookie` header of cookies that only the server reads. */

export interface CookieDetails {
  /** Whether browsers send it over HTTPS only. */
  readonly isSecure: boolean;
  /** 0 deletes the cookie. @default until the browser is closed */
  readonly maxAgeMs?: number;
}

/** @param value without anything that a cookie would have to escape */
export function setCookie(name: string, value: string, { isSecure, maxAgeMs }: CookieDetails): string {
  const maxAge = maxAgeMs === undefined ? '' : `; Max-Age=${Math.floor(maxAgeMs / 1_000)}`;
  return `${name}=${value}; Path=/${maxAge}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
}
