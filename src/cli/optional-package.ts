/**
 * Owns: the packages that only some commands need. They are optional peers, so that a web site does not install them, and
 * are loaded by the commands that use them.
 */
import { UsageError } from './command';

interface Packages {
  'cli-progress': typeof import('cli-progress');
  'csv-parse': typeof import('csv-parse');
  'csv-stringify/sync': typeof import('csv-stringify/sync');
}

/** @returns `undefined` where it is not installed */
export function optionalPackage<Name extends keyof Packages>(name: Name): Packages[Name] | undefined {
  try {
    require.resolve(name);
  } catch {
    return undefined;
  }
  // Outside of the `try`: an installed package that is broken says so itself.
  return require(name);
}

/** @throws {UsageError} where one of the two is not installed; the message says how to install them */
export function csvPackages(): Pick<Packages['csv-parse'] & Packages['csv-stringify/sync'], 'parse' | 'stringify'> {
  const reading = optionalPackage('csv-parse');
  const writing = optionalPackage('csv-stringify/sync');
  if (reading === undefined || writing === undefined) {
    throw new UsageError(
      'CSV needs two packages that are not installed, NDJSON does not: npm install csv-parse@7 csv-stringify@6',
    );
  }
  return { parse: reading.parse, stringify: writing.stringify };
}
