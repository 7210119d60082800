import type { RegisteredName, VisitorSegments } from 'express-aam-segments';
import { GOLF, OUTDOORS, type Product, RESERVE } from './catalogue';

/** The pages in the navigation. */
export const PAGES = [
  { path: '/', label: 'Home' },
  { path: '/landing', label: 'Autumn weekend' },
  { path: '/members', label: 'Members' },
] as const;

/** In the navigation if the shop runs the Web SDK. */
export const WEB_SDK_PAGE = { path: '/web-sdk', label: 'Privacy' } as const;

export type Theme = 'plain' | 'golf' | 'vip';

/** The picture and the text at the top of a page. */
export interface Hero {
  readonly theme: Theme;
  readonly eyebrow: string;
  readonly title: string;
  readonly text: string;
  /** A symbol in public/pictures.svg. */
  readonly scene: string;
}

export interface Link {
  readonly href: string;
  readonly label: string;
}

export interface Shelf {
  readonly title: string;
  readonly products: readonly Product[];
}

export interface Page {
  readonly hero: Hero;
  readonly callToAction: Link;
  readonly shelf: Shelf;
}

export const plainHome: Page = {
  hero: {
    theme: 'plain',
    eyebrow: 'New this autumn',
    title: 'Good things for days outside',
    text: 'Honest kit for paths, shores and back gardens. Made to be used, and mended when it has been.',
    scene: 'scene-hills',
  },
  callToAction: { href: '/landing', label: 'See the autumn weekend' },
  shelf: { title: 'Loved by everyone', products: OUTDOORS },
};

export const golfHome: Page = {
  hero: {
    theme: 'golf',
    eyebrow: 'For golfers',
    title: 'Play the back nine in any weather',
    text: 'The Sunday bag is back: lighter, waxed, and just big enough for the six clubs that you really use.',
    scene: 'scene-links',
  },
  callToAction: { href: '/landing', label: 'Plan a golf weekend' },
  shelf: { title: 'Picked for your next round', products: GOLF },
};

export const vipHome: Page = {
  hero: {
    theme: 'vip',
    eyebrow: 'Reserved for you',
    title: 'The Reserve is open tonight',
    text: 'Sixty pieces, made once a year, shown to our best customers a week before anybody else sees them.',
    scene: 'scene-lounge',
  },
  callToAction: { href: '/members', label: 'Enter the lounge' },
  shelf: { title: 'Yours first, until Sunday', products: RESERVE },
};

/** The landing page of a campaign, whose hero and call to action depend on the segments. */
export function landingFor(segments: VisitorSegments<RegisteredName>): Omit<Page, 'shelf'> {
  return {
    hero: segments.has('golfFans') ? golfWeekend : segments.has('highValue') ? reserveWeekend : autumnWeekend,
    callToAction: segments.has('highValue')
      ? { href: '/members', label: 'Claim your upgrade' }
      : { href: '/members', label: 'Join the club' },
  };
}

const autumnWeekend: Hero = {
  theme: 'plain',
  eyebrow: 'The autumn weekend',
  title: 'Two days, three hills, one big breakfast',
  text: 'Walk with people who know the way. Huts, maps and porridge are included; the weather is a surprise.',
  scene: 'scene-hills',
};

const golfWeekend: Hero = {
  theme: 'golf',
  eyebrow: 'The autumn weekend, on the links',
  title: 'Thirty-six holes by the sea',
  text: 'Two rounds on an old links course, a lesson in putting into the wind, and soup at the turn.',
  scene: 'scene-links',
};

const reserveWeekend: Hero = {
  theme: 'vip',
  eyebrow: 'The autumn weekend, the quiet way',
  title: 'Your room by the fire is kept',
  text: 'A suite instead of a bunk, a late checkout, and dinner with the people who make our things.',
  scene: 'scene-lounge',
};

/** On the landing page of golf fans, in one variant of an experiment. */
export const freeLesson = {
  eyebrow: 'With the golf weekend',
  title: 'The first lesson is on us',
  text: 'An hour with the club’s professional on Friday afternoon, before the course gets busy. Bring your worst club.',
} as const;

export const lounge: Page = {
  hero: {
    theme: 'vip',
    eyebrow: 'Members’ lounge',
    title: 'Good to have you back',
    text: 'The kettle is on. Everything on this shelf is put aside for you until Sunday evening.',
    scene: 'scene-lounge',
  },
  callToAction: { href: '/landing', label: 'See your autumn weekend' },
  shelf: { title: 'Put aside for you', products: RESERVE },
};

export const notYet: Page = {
  hero: {
    theme: 'plain',
    eyebrow: 'Members’ lounge',
    title: 'Not yet, but soon',
    text: 'The lounge is for our most faithful customers. A few more walks together and this door opens by itself.',
    scene: 'scene-door',
  },
  callToAction: { href: '/', label: 'Back to the shop' },
  shelf: { title: 'Meanwhile, loved by everyone', products: OUTDOORS },
};

export const consentQuestion: Hero = {
  theme: 'plain',
  eyebrow: 'Your privacy',
  title: 'May we remember what you like?',
  text: 'If you agree, Adobe hears that you are here, and the shop shows more of what suits you. If you refuse, it shows everybody’s favourites, and Adobe is not asked about you.',
  scene: 'scene-door',
};
