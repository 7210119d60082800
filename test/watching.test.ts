import { tracingChannel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { closeClients, createClient } from './helpers/client';
import { advanceableClock, ECID } from './helpers/site';

const root = join(__dirname, '..');
const docs = readFileSync(join(root, 'docs', 'watching.md'), 'utf8');
const messages = readFileSync(join(root, 'src', 'channels', 'messages.ts'), 'utf8');

/** Ends subscriptions: channels outlive a test file. */
const subscriptions: (() => void)[] = [];
function tracingUntilEnd(name: string) {
  const channel = tracingChannel(name);
  return {
    subscribe(subscribers: Parameters<typeof channel.subscribe>[0]) {
      channel.subscribe(subscribers);
      subscriptions.push(() => channel.unsubscribe(subscribers));
    },
  };
}

afterEach(async () => {
  for (const end of subscriptions.splice(0)) end();
  jest.restoreAllMocks();
  await closeClients();
});

describe('docs/watching.md', () => {
  it('has an example that logs slow calls, and no others', async () => {
    const [, code] = docs.match(/^```ts\n(.*?)^```$/ms) as unknown as [string, string];
    const { code: js } = transformSync(code, {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
    });
    new Function('require', 'exports', js)(() => ({ tracingChannel: tracingUntilEnd }), {});
    const warned = jest.spyOn(console, 'warn').mockImplementation(() => {});
    const clock = advanceableClock();
    const { client, simulator } = await createClient({ dcs: { timeoutMs: 60_000 } });
    await client.lookup({ ecid: ECID, region: 9 });
    expect(warned.mock.calls).toEqual([]);
    simulator.fault({ kind: 'latency', latencyMs: 20 }, { calls: 1 });
    const slow = client.lookup({ ecid: ECID.replace(/^2/, '3'), region: 9 });
    clock.advance(1_000);
    await slow;
    await new Promise((resolve) => setImmediate(resolve));
    const origin = simulator.dcs.origins[9] as string;
    expect(warned.mock.calls).toEqual([[expect.stringMatching(`^lookup at ${origin} took \\d{4,} ms: success$`)]]);
  });

  it('lists all fields of each message, and no others', () => {
    const fieldsOf = (interfaceName: string) => {
      const [, body] = messages.match(new RegExp(`interface ${interfaceName} \\{(.*?)^\\}`, 'ms')) as unknown as [
        string,
        string,
      ];
      return [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, name]) => name);
    };
    const sections = docs.split(/^## /m).slice(1);
    expect(sections).toHaveLength(7);
    for (const section of sections) {
      const [, interfaceName] = section.match(/^`(\w+Message)`/m) as unknown as [string, string];
      const listed = [...section.matchAll(/^\| (`.+?) \|/gm)].flatMap(([, cell]) => String(cell).match(/\w+/g));
      expect([interfaceName, listed.sort()]).toEqual([interfaceName, fieldsOf(interfaceName).sort()]);
    }
  });
});
