import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** In a process of its own, since Jest would take the exception for a failure of the test. */
const PROGRAM = `
const { subscribe } = require('node:diagnostics_channel');
const { aamSegments } = require('./src/index.ts');
process.on('uncaughtException', (error) => console.log('uncaught: ' + error.message));
subscribe('express-aam-segments:request', () => { throw new Error('of a subscriber'); });
subscribe('express-aam-segments:request', () => console.log('next subscriber'));
const aam = aamSegments({ orgId: '1FD6776A524453CC0A490D44@AdobeOrg', partner: 'acme' });
aam({ headers: {}, url: '/' }, {}, () => console.log('next()'));
aam.close();
`;

it('a subscriber that throws stops neither the request nor other subscribers; Node reports it afterwards', () => {
  const args = ['--import', 'tsx', '-e', PROGRAM];
  const printed = execFileSync(process.execPath, args, { cwd: join(__dirname, '..', '..'), encoding: 'utf8' });
  expect(printed.split('\n')).toEqual(['next subscriber', 'next()', 'uncaught: of a subscriber', '']);
});
