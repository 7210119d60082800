/** A site with previews, and how somebody comes into one. */
import express, { type Express } from 'express';
import type { PreviewLinkOptions } from 'express-aam-segments';
import request, { type Response } from 'supertest';
import { createSite, type Site } from '../helpers/site';

export const SECRET = 'a secret for tests, 32 characters or more';
/** The host of supertest's requests. */
export const ORIGIN = 'http://127.0.0.1';

export interface PreviewSite extends Site {
  /** Follows a link to this site. @param cookie what the browser has already */
  open(link: string, cookie?: string): Promise<Response>;
  /** The cookie of a preview that has begun, as a Cookie header. */
  begin(options?: PreviewLinkOptions<'golfFans' | 'highValue'>, url?: string): Promise<string>;
}

/** @param use adds routes behind the middleware, before the page of {@link createSite} */
export async function previewSite(
  options: Parameters<typeof createSite>[0] = {},
  use: (app: Express, site: Site) => void = () => {},
): Promise<PreviewSite> {
  const site = await createSite({ preview: { secret: SECRET }, ...options });
  const app = express();
  app.use(site.aam);
  use(app, site);
  app.use(site.app);
  const open = (link: string, cookie = '') => {
    const { pathname, search } = new URL(link);
    return request(app)
      .get(pathname + search)
      .set('Cookie', cookie);
  };
  return {
    ...site,
    app,
    open,
    async begin(linkOptions = { segments: ['golfFans'] }, url = `${ORIGIN}/`) {
      return cookieSetBy(await open(site.aam.previewUrl(url, linkOptions)));
    },
  };
}

/** The cookies that a response sets, as a Cookie header. */
export function cookieSetBy({ headers }: Response): string {
  const set = (headers['set-cookie'] ?? []) as unknown as string[];
  return set.map((each) => each.split(';')[0]).join('; ');
}

export function tokenIn(link: string): string {
  return new URL(link).searchParams.get('aam_preview') as string;
}
