// Stops `npm publish` while package.json has no real addresses: npm and its provenance compare them with the repository.
import { readFileSync } from 'node:fs';

const { repository, homepage, bugs } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const unset = Object.entries({ 'repository.url': repository.url, homepage, 'bugs.url': bugs.url })
  .filter(([, address]) => new URL(address.replace(/^git\+/, '')).hostname.endsWith('.invalid'))
  .map(([name]) => name);
if (unset.length > 0) {
  console.error(
    `Not published: package.json has placeholders for ${unset.join(', ')}. Set them to the real addresses.`,
  );
  process.exitCode = 1;
}
