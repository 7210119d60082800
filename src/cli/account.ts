/** Owns: which account the commands speak for, from arguments, the environment and a configuration file. */
import { readFileSync } from 'node:fs';
import { isRecord } from '../option-checks';
import type { DcsClientOptions } from '../options/dcs-client-options';
import { UsageError } from './command';

/** Arguments of every command that speaks for an account. */
export const ACCOUNT_ARGS = {
  config: { type: 'string' },
  org: { type: 'string' },
  partner: { type: 'string' },
  segment: { type: 'string', multiple: true },
  origin: { type: 'string' },
} as const;

export const ACCOUNT_HELP = `Account:
  --org <id>              organisation id, or AAM_ORG_ID in the environment
  --partner <alias>       the alias that Adobe gave you, or AAM_PARTNER
  --segment <name>=<id>   a name for a segment; as often as you like
  --config <file.json>    the options of createDcsClient(): orgId, partner, segments, destinations, dcs
  --origin <url>          ask this server about everybody, such as one of 'aam-segments simulate'`;

interface AccountValues {
  readonly config?: string | undefined;
  readonly org?: string | undefined;
  readonly partner?: string | undefined;
  readonly segment?: readonly string[] | undefined;
  readonly origin?: string | undefined;
}

/** What is given as an argument counts more than the environment, and that more than the file. */
export function accountOptions(values: AccountValues): DcsClientOptions {
  const file = values.config === undefined ? {} : configFile(values.config);
  const { AAM_ORG_ID, AAM_PARTNER } = process.env;
  const orgId = values.org ?? AAM_ORG_ID ?? file.orgId;
  const partner = values.partner ?? AAM_PARTNER ?? file.partner;
  if (orgId === undefined) throw new UsageError('whose segments? Give --org, AAM_ORG_ID or --config');
  if (partner === undefined) throw new UsageError('by which alias? Give --partner, AAM_PARTNER or --config');
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
