/** Owns: the account of a command, from its arguments, the environment and a configuration file. Next: ../options/. */
import { readFileSync } from 'node:fs';
import { isRecord } from '../option-checks';
import type { DcsClientOptions } from '../options/dcs-client-options';
import { UsageError } from './command';

/** Arguments of every command that needs an account. */
export const ACCOUNT_ARGS = {
  config: { type: 'string' },
  org: { type: 'string' },
  partner: { type: 'string' },
  segment: { type: 'string', multiple: true },
  origin: { type: 'string' },
} as const;

export const ACCOUNT_HELP = `Account:
  --org <id>              organisation id, or AAM_ORG_ID in the environment
  --partner <alias>       your alias at demdex.net, or AAM_PARTNER in the environment
  --segment <name>=<id>   a name for a segment id; can be repeated
  --config <file.json>    a file with the options of createDcsClient()
  --origin <url>          send all calls to this server, such as one of 'aam-segments simulate'`;

interface AccountValues {
  readonly config?: string | undefined;
  readonly org?: string | undefined;
  readonly partner?: string | undefined;
  readonly segment?: readonly string[] | undefined;
  readonly origin?: string | undefined;
}

/** Arguments override the environment, which overrides the file. */
export function accountOptions(values: AccountValues): DcsClientOptions {
  const file = values.config === undefined ? {} : configFile(values.config);
  const { AAM_ORG_ID, AAM_PARTNER } = process.env;
  const orgId = values.org ?? AAM_ORG_ID ?? file.orgId;
  const partner = values.partner ?? AAM_PARTNER ?? file.partner;
  if (orgId === undefined) throw new UsageError('no organisation id. Set --org, AAM_ORG_ID, or orgId in --config.');
  if (partner === undefined)
    throw new UsageError('no partner alias. Set --partner, AAM_PARTNER, or partner in --config.');
  const segments = { ...file.segments, ...Object.fromEntries((values.segment ?? []).map(namedSegment)) };
  const dcs = values.origin === undefined ? file.dcs : { ...file.dcs, origins: {}, defaultOrigin: values.origin };
  return { ...file, orgId, partner, segments, dcs };
}

function configFile(path: string): Partial<DcsClientOptions> {
  try {
    const options: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isRecord(options)) return options;
  } catch (error) {
    throw new UsageError(`--config ${path}: ${(error as Error).message}`);
  }
  throw new UsageError(`--config ${path}: not a JSON object`);
}

function namedSegment(text: string): [name: string, id: `${number}`] {
  const at = text.lastIndexOf('=');
  const id = text.slice(at + 1);
  if (at < 1 || !/^\d+$/.test(id)) throw new UsageError(`--segment must be <name>=<id>, got '${text}'`);
  return [text.slice(0, at), id as `${number}`];
}
