/**
 * A site under the standard OpenTelemetry instrumentations of http, undici and Express, in a process of its own, since they
 * have to be there before anything else is loaded. Prints what they have recorded, and what the DCS got, as JSON.
 */
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { ExpressInstrumentation } from '@opentelemetry/instrumentation-express';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const exporter = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
registerInstrumentations({
  instrumentations: [new HttpInstrumentation(), new ExpressInstrumentation(), new UndiciInstrumentation()],
});

async function run(method: 'get' | 'post', { ecid, orgId, customerId }: Record<string, string>): Promise<void> {
  // Not imported above: they are loaded after the instrumentations.
  const express: typeof import('express') = require('express');
  const { aamSegments }: typeof import('../../src/index') = require('../../src/index');
  const { createDcsSimulator }: typeof import('../../src/testing/public') = require('../../src/testing/public');
  const simulator = await createDcsSimulator({ segmentIds: true });
  const aam = aamSegments({
    orgId: orgId as string,
    partner: 'acme',
    maxWaitMs: 10_000,
    identity: { customerIds: () => [{ dataSourceId: 7, id: customerId as string }] },
    dcs: { ...simulator.dcs, method },
  });
  const app = express();
  app.use(aam);
  app.get('/', async (req, res) => {
    await aam.sendEvent(req, { c_page: 'home' });
    res.send(req.aamSegments.status);
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const cookie = `AMCV_${encodeURIComponent(orgId as string)}=MCMID%7C${ecid}`;
  const page = await fetch(`http://127.0.0.1:${port}/`, {
    headers: { cookie, 'user-agent': 'Mozilla/5.0 Firefox/140.0' },
  });
  const status = await page.text();
  server.close();
  await aam.close();
  const spans = exporter
    .getFinishedSpans()
    .map(({ name, kind, attributes, events, status: outcome, instrumentationScope }) => {
      return { name, kind, attributes, events, outcome, by: instrumentationScope.name };
    });
  const calls = simulator.requests.map(({ headers, params }) => ({
    traceparent: headers.traceparent,
    mid: params.d_mid,
  }));
  await simulator.close();
  process.stdout.write(JSON.stringify({ status, spans, calls }));
}

void run(process.argv[2] as 'get' | 'post', JSON.parse(process.argv[3] as string));
