/** Owns: `aam-segments lookup`. Next: ../dcs-client.ts. */
import { createDcsClient } from '../dcs-client';
import type { CustomerId } from '../identity/customer-ids';
import { isVisitorId, type VisitorId } from '../identity/visitor';
import type { VisitorSegments } from '../segments/visitor-segments';
import { ACCOUNT_OPTIONS, ACCOUNT_SECTION, accountOf, PROXY_SECTION } from './account';
import { countOf } from './arguments';
import { type Call, defineCommand, EXIT, type OptionSpecs, UsageError } from './command';
import { print, printJson } from './printer';
import { throughProxy } from './proxy';

const OPTIONS = {
  ecid: { type: 'string', value: '<id>', help: 'Experience Cloud ID, 38 digits' },
  uuid: { type: 'string', value: '<id>', help: 'Audience Manager UUID, 38 digits' },
  customer: {
    type: 'string',
    value: '<source>:<id>',
    help: "a customer id; <source> is the data source's id or integration code",
  },
  region: { type: 'string', value: '<n>', help: 'the region that holds the profile (default: ask the alias)' },
  ...ACCOUNT_OPTIONS,
} as const satisfies OptionSpecs;

export const lookup = defineCommand({
  name: 'lookup',
  summary: 'look up the segments of one visitor',
  synopsis: '(--ecid <id> | --uuid <id> | --customer <source>:<id>) [options]',
  description:
    'Looks up the segments of one visitor. That is an event in Audience Manager: make sure that the visitor has consented.',
  operands: [],
  options: OPTIONS,
  sections: [ACCOUNT_SECTION, PROXY_SECTION],
  failure: 'no answer',
  examples: ['--customer acme_crm:C-1001 --segment golfFans=984263'],
  async run({ values, env, stdout, stderr }) {
    const visitor = visitorOf(values);
    const account = accountOf(values, env);
    const dispatched = throughProxy(account.options, env);
    const client = account.checked(() => createDcsClient(dispatched.options));
    const { json, quiet } = values;
    try {
      const segments = await client.lookup(visitor);
      if (quiet) return EXIT.ok;
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
      await dispatched.close();
    }
  },
});

function visitorOf({ ecid, uuid, customer, region }: Call<typeof OPTIONS>['values']): VisitorId {
  if ([ecid, uuid, customer].filter((id) => id !== undefined).length !== 1) {
    throw new UsageError('Name the visitor by one of --ecid, --uuid and --customer');
  }
  if (ecid !== undefined && !isVisitorId(ecid)) throw new UsageError('--ecid must be 38 digits');
  if (uuid !== undefined && !isVisitorId(uuid)) throw new UsageError('--uuid must be 38 digits');
  const customerIds = customer === undefined ? undefined : [customerIdOf(customer)];
  return { ecid, uuid, customerIds, region: countOf('region', region) } as VisitorId;
}

/** `<source>:<id>`: the first colon separates, so that ids may contain colons. */
function customerIdOf(text: string): CustomerId {
  const at = text.indexOf(':');
  if (at < 1) throw new UsageError('--customer must be <data source id or integration code>:<id>');
  const [source, id] = [text.slice(0, at), text.slice(at + 1)];
  if (id.trim() === '' || /^\d{16,}$/.test(source)) {
    throw new UsageError(`--customer must be <data source id or integration code>:<id>, got '${text}'`);
  }
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
