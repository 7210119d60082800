/**
 * Owns: the account of a command, from its options, the environment and a configuration file, and how messages about it name
 * where a value came from. Next: ../options/.
 */
import { readFileSync } from 'node:fs';
import { AamError } from '../errors';
import { isRecord } from '../option-checks';
import type { DcsClientOptions } from '../options/dcs-client-options';
import { type Environment, type OptionSpecs, UsageError } from './command';
import { systemError } from './files';

/** Options of every command that needs an account. */
export const ACCOUNT_OPTIONS = {
  org: { type: 'string', value: '<id>', help: 'organisation id of your Experience Cloud account' },
  partner: { type: 'string', value: '<alias>', help: 'your alias at demdex.net' },
  segment: { type: 'string', multiple: true, value: '<name>=<id>', help: 'a name for a segment id; can be repeated' },
  config: { type: 'string', value: '<file.json>', help: 'a file with the options of createDcsClient()' },
  origin: { type: 'string', value: '<url>', help: "send all calls to this server, such as one of 'simulate'" },
} as const satisfies OptionSpecs;

export const ACCOUNT_SECTION = {
  title: 'ACCOUNT',
  text: `The account comes from the options, from the environment, or from the file of --config. Where several give the same value,
the options override the environment, and the environment overrides the file; names of segments from all are combined.

  AAM_ORG_ID    organisation id, as with --org
  AAM_PARTNER   alias, as with --partner`,
} as const;

export const PROXY_SECTION = {
  title: 'PROXY',
  text: `Calls go through the proxy in HTTPS_PROXY (HTTP_PROXY for an http:// origin), except to hosts that NO_PROXY lists;
doctor says which way they go.`,
} as const;

interface AccountValues {
  readonly config?: string | undefined;
  readonly org?: string | undefined;
  readonly partner?: string | undefined;
  readonly segment?: readonly string[] | undefined;
  readonly origin?: string | undefined;
}

export interface Account {
  readonly options: DcsClientOptions;
  /** Where the values came from, for those who look for a mistake. */
  readonly sources: string;
  /**
   * Runs `check`; an error about options becomes a {@link UsageError} that names the flag, the variable or the key of the file.
   */
  checked<T>(check: () => T): T;
  /** A message about options in terms of flags, variables and keys of the file. */
  inFlags(message: string): string;
}

interface Given {
  readonly value: string | undefined;
  readonly source: string;
}

/** @throws {UsageError} */
export function accountOf(values: AccountValues, env: Environment): Account {
  const file = values.config === undefined ? {} : configFile(values.config);
  const config = values.config ?? '--config';
  const orgId = first(values.org, '--org', env.AAM_ORG_ID, 'AAM_ORG_ID', file.orgId, `orgId in ${config}`);
  const partner = first(
    values.partner,
    '--partner',
    env.AAM_PARTNER,
    'AAM_PARTNER',
    file.partner,
    `partner in ${config}`,
  );
  if (orgId.value === undefined) {
    throw new UsageError('Missing organisation id: use --org, AAM_ORG_ID or --config');
  }
  if (partner.value === undefined)
    throw new UsageError('Missing partner alias: use --partner, AAM_PARTNER or --config');
  const named = Object.fromEntries((values.segment ?? []).map(namedSegment));
  const segments = { ...file.segments, ...named };
  const dcs = values.origin === undefined ? file.dcs : { ...file.dcs, origins: {}, defaultOrigin: values.origin };
  const inFlags = (message: string) =>
    message
      .replace(/options\.orgId/g, orgId.source)
      .replace(/options\.partner/g, partner.source)
      .replace(/options\.segments\["([^"]*)"\]/g, (path, name) =>
        Object.hasOwn(named, name) ? `--segment ${name}` : path,
      )
      .replace(/options\.dcs\.defaultOrigin/g, (path) => (values.origin === undefined ? path : '--origin'))
      .replace(/options\.(\w[\w.]*)/g, (_path, key) => `${key} in ${config}`)
      .replace(/^options /, `${config} `);
  return {
    options: { ...file, orgId: orgId.value, partner: partner.value, segments, dcs },
    sources: [
      `organisation id from ${orgId.source}`,
      `alias from ${partner.source}`,
      ...(values.config === undefined ? [] : [`the rest from ${values.config}`]),
    ].join(', '),
    inFlags,
    checked(check) {
      try {
        return check();
      } catch (error) {
        if (error instanceof AamError) throw new UsageError(inFlags(error.message));
        throw error;
      }
    },
  };
}

/** An empty variable is one that is not set. */
function first(
  option: string | undefined,
  optionName: string,
  variable: string | undefined,
  variableName: string,
  inFile: unknown,
  fileName: string,
): Given {
  if (option !== undefined) return { value: option, source: optionName };
  if (variable !== undefined && variable !== '') return { value: variable, source: variableName };
  // Of a file, it may be anything; the check of the options says so.
  return { value: inFile as string | undefined, source: fileName };
}

function configFile(path: string): Partial<DcsClientOptions> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--config ${path}: ${systemError(error)}`);
  }
  try {
    const options: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    if (isRecord(options)) return options;
  } catch (error) {
    throw new UsageError(`--config ${path}: not JSON (${(error as Error).message})`);
  }
  throw new UsageError(`--config ${path}: not a JSON object`);
}

function namedSegment(text: string): [name: string, id: `${number}`] {
  const at = text.lastIndexOf('=');
  const id = text.slice(at + 1);
  if (at < 1 || !/^\d+$/.test(id)) throw new UsageError(`--segment must be <name>=<id>, got '${text}'`);
  return [text.slice(0, at), id as `${number}`];
}
