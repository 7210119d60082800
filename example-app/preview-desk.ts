import express, { type Router } from 'express';
import type { AamError, ActivePreview, PreviewLinkOptions } from 'express-aam-segments';
import { type Aam, SEGMENTS, type Segment } from './aam';
import { PAGES } from './pages';

export interface Previews {
  /** What can be chosen besides the segments; the first variant is the control. */
  readonly experiments: readonly { readonly name: string; readonly variants: readonly string[] }[];
}

const MINUTE_MS = 60_000;

const DURATIONS = [
  { minutes: 15, label: '15 minutes' },
  { minutes: 60, label: 'an hour' },
  { minutes: 24 * 60, label: 'a day' },
] as const;

const NAMES = Object.keys(SEGMENTS) as Segment[];
const LABELS: Readonly<Record<Segment, string>> = { golfFans: 'Golf fans', highValue: 'High value' };

/**
 * `GET /preview`: marketers make a link by which they see the shop as a visitor in some segments would. A real desk requires a
 * login, since whoever has a link can use it, and knows its own address instead of taking it from the request.
 */
export function previewDesk(aam: Aam, { experiments }: Previews): Router {
  const router = express.Router();
  router.get('/preview', (req, res) => {
    const { query } = req;
    const page = PAGES.find(({ path }) => path === query.page) ?? PAGES[0];
    const segments = namesIn(query.segment);
    const variants = experiments.map(({ name, variants: all }) => {
      const chosen = all.find((variant) => variant === query[`variant-${name}`]) ?? (all[0] as string);
      return { name, chosen, isControl: chosen === all[0], all };
    });
    const duration = DURATIONS.find((each) => String(each.minutes) === query.minutes) ?? DURATIONS[1];
    const origin = `${req.protocol}://${req.get('host')}`;
    const made =
      query.page === undefined
        ? undefined
        : linkTo(aam, `${origin}${page.path}`, {
            segments,
            variants: Object.fromEntries(variants.map(({ name, chosen }) => [name, chosen])),
            expiresInMs: duration.minutes * MINUTE_MS,
          });
    const whom = [
      ...segments.map((name) => LABELS[name]),
      ...variants.flatMap((each) => (each.isControl ? [] : each.chosen)),
    ];
    res.set('Cache-Control', 'no-store');
    res.status(made?.problem === undefined ? 200 : 400).render('preview', {
      page: { hero: { title: 'Preview links', theme: 'plain' } },
      pages: PAGES.map((each) => ({ ...each, isChosen: each === page })),
      segments: NAMES.map((name) => ({ name, label: LABELS[name], isChosen: segments.includes(name) })),
      experiments: variants,
      durations: DURATIONS.map((each) => ({ ...each, isChosen: each === duration })),
      made,
      summary: `${page.label}, for ${whom.join(', ') || 'everybody else'}`,
      validFor: duration.label,
    });
  });
  return router;
}

/** Whoever sends another `Host` than the shop's gets no link. */
function linkTo(aam: Aam, url: string, options: PreviewLinkOptions<Segment>): { link?: string; problem?: string } {
  try {
    return { link: aam.previewUrl(url, options) };
  } catch (error) {
    return { problem: (error as AamError).message };
  }
}

function namesIn(given: unknown): readonly Segment[] {
  const list: readonly unknown[] = [given].flat();
  return NAMES.filter((name) => list.includes(name));
}

/** What the badge says on the pages of a preview. */
export interface Badge {
  readonly who: string;
  readonly variants: readonly string[];
  readonly timeLeft: string;
  readonly endUrl: string;
}

export function badgeOf({ segments, variants, remainingMs, endUrl }: ActivePreview): Badge {
  const labels = segments.map((name) => (name in LABELS ? LABELS[name as Segment] : name));
  const minutes = Math.ceil(remainingMs / MINUTE_MS);
  return {
    who: labels.join(', ') || 'Nobody in particular',
    variants: Object.entries(variants).map(([experiment, variant]) => `${experiment}: ${variant}`),
    timeLeft: minutes > 90 ? `${Math.round(minutes / 60)} h` : `${minutes} min`,
    endUrl,
  };
}
