export interface Product {
  readonly name: string;
  readonly text: string;
  readonly price: number;
  /** A symbol in public/pictures.svg. */
  readonly picture: string;
}

export const OUTDOORS: readonly Product[] = [
  { name: 'Trail flask', text: 'Keeps tea hot until the summit.', price: 34, picture: 'flask' },
  { name: 'Canvas rucksack', text: 'Waxed by hand, for one long day.', price: 118, picture: 'rucksack' },
  { name: 'Enamel mug', text: 'Chips a little. Lasts for ever.', price: 16, picture: 'mug' },
  { name: 'Lambswool throw', text: 'For the bench, the boat, the back seat.', price: 89, picture: 'throw' },
];

export const GOLF: readonly Product[] = [
  { name: 'Sunday bag', text: 'Six clubs, two pockets, no wheels.', price: 164, picture: 'golf-bag' },
  { name: 'Beech tees', text: 'A tin of fifty, turned, not moulded.', price: 14, picture: 'tees' },
  { name: 'Links umbrella', text: 'Stays on your side of the wind.', price: 58, picture: 'umbrella' },
  { name: 'Eighteenth cap', text: 'Wool, with a peak that means it.', price: 38, picture: 'cap' },
];

export const RESERVE: readonly Product[] = [
  { name: 'Reserve holdall', text: 'Full-grain leather, numbered inside.', price: 420, picture: 'holdall' },
  { name: 'Cashmere scarf', text: 'Woven once a year, sixty pieces.', price: 175, picture: 'scarf' },
  { name: 'Brass lantern', text: 'Storm-proof, and handsome indoors.', price: 132, picture: 'lantern' },
  { name: 'Field notebook', text: 'Stone paper, your initials on it.', price: 46, picture: 'notebook' },
];
