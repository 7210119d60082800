/**
 * Prints what a developer sees of each misconfiguration, as a table in Markdown, on one Express: what is said once per process
 * would be missing in the second half. `tsx test/diagnosis/print-misconfigurations.ts express4`, or `express`
 */
import { createRequire } from 'node:module';
import { MISCONFIGURATIONS, seenOf } from './misconfigurations';

const cell = (text: string) => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');

async function main([name = 'express']: readonly string[]): Promise<void> {
  const newApp = createRequire(__filename)(name);
  console.log(`| made on purpose | what the developer sees (${name}) |\n| --- | --- |`);
  for (const misconfiguration of MISCONFIGURATIONS) {
    const seen = await seenOf(misconfiguration, newApp);
    console.log(
      `| ${misconfiguration.made} | ${cell(seen.map(({ code, text }) => `\`${code}\` ${text}`).join('; '))} |`,
    );
  }
}

main(process.argv.slice(2));
