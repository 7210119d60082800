/** Owns: `aam-segments lookup`. Next: ../dcs-client.ts. */
import { createDcsClient } from '../dcs-client';
import type { CustomerId } from '../identity/customer-ids';
import type { VisitorId } from '../identity/visitor';
import type { VisitorSegments } from '../segments/visitor-segments';
import { ACCOUNT_ARGS, ACCOUNT_HELP, accountOptions } from './account';
import { type Command, countOf, EXIT, print, printJson, readArgs, UsageError, usage } from './command';

const HELP = `Looks up the segments of one visitor.

Usage: aam-segments lookup (--ecid <id> | --uuid <id> | --customer <source>:<id>) [options]

Visitor:
  --ecid <id>             Experience Cloud ID, 38 digits
  --uuid <id>             Audience Manager UUID, 38 digits
  --customer <source>:<id>  a customer id; <source> is the data source's id or integration code
  --region <n>            the region that holds the profile (default: ask the alias)

${ACCOUNT_HELP}

  --json                  one JSON object instead of lines

The lookup is an event in Audience Manager. Make sure that the visitor has consented. Exit code 1: no answer.`;

export const lookup: Command = {
  summary: 'look up the segments of one visitor',
  help: HELP,
  async run(args, { stdout, stderr }) {
    const { values } = readArgs(args, {
      ...ACCOUNT_ARGS,
      ecid: { type: 'string' },
      uuid: { type: 'string' },
      customer: { type: 'string' },
      region: { type: 'string' },
      json: { type: 'boolean' },
    });
    const { ecid, uuid, customer, json = false } = values;
    if ([ecid, uuid, customer].filter((id) => id !== undefined).length !== 1) {
      throw new UsageError('exactly one of --ecid, --uuid and --customer must name the visitor');
    }
    const customerIds = customer === undefined ? undefined : [customerIdOf(customer)];
    const visitor = { ecid, uuid, customerIds, region: countOf('region', values.region) } as VisitorId;
    const client = usage(() => createDcsClient(accountOptions(values)));
    try {
      const segments = await client.lookup(visitor);
      if (json) printJson(stdout, described(segments));
      else for (const line of linesOf(segments)) print(stdout, line);
      return EXIT.ok;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === 'ERR_AAM_INVALID_OPTION') throw new UsageError(message);
      if (json) printJson(stdout, { error: { code, message } });
      else print(stderr, `${code}: ${message}`);
      return EXIT.failed;
    } finally {
      await client.close();
    }
  },
};

/** `<source>:<id>`: the first colon separates, so that ids may contain colons. */
function customerIdOf(text: string): CustomerId {
  const at = text.indexOf(':');
  if (at < 1) throw new UsageError('--customer must be <data source id or integration code>:<id>');
  const [source, id] = [text.slice(0, at), text.slice(at + 1)];
  return /^\d+$/.test(source) ? { id, dataSourceId: Number(source) } : { id, integrationCode: source };
}

function described(segments: VisitorSegments) {
  const { status, reason, ids, names, destinations, region, transactionId } = segments;
  return { status, reason, ids, names, destinations, region, transactionId };
}

function linesOf(segments: VisitorSegments): string[] {
  const { status, reason, ids, names, destinations, region, transactionId } = described(segments);
  return [
    `status        ${status}${reason === undefined ? '' : ` (${reason})`}`,
    `segments      ${ids.length === 0 ? 'none' : ids.join(' ')}`,
    `names         ${names.length === 0 ? 'none' : names.join(', ')}`,
    ...Object.entries(destinations).map(([name, value]) => `destination   ${name}: ${value}`),
    `region        ${region ?? 'not given'}`,
    `transaction   ${transactionId ?? 'not given'}`,
  ];
}
