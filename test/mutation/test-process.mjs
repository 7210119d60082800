// A process that runs test files for run-mutants.mjs, one at a time, each time with the sources as they are then. Starting
// Jest takes longer than most tests, so it stays loaded.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [root] = process.argv.slice(2);
// As Jest's own command does.
process.env.NODE_ENV ??= 'test';
const require = createRequire(join(root, 'jest.config.js'));
const { runCLI } = require('jest');
const { projects } = require('./jest.config.js');

const config = {
  ...projects.find(({ displayName }) => displayName === 'fast'),
  rootDir: root,
  testEnvironment: join(import.meta.dirname, 'stop-at-first-failure.cjs'),
  setupFiles: [join(import.meta.dirname, 'without-shrinking.cjs')],
};

process.on('message', async (file) => {
  const argv = {
    _: [join(root, file)],
    $0: 'jest',
    config: JSON.stringify(config),
    runTestsByPath: true,
    runInBand: true,
    watchman: false,
    silent: true,
    reporters: [],
    testTimeout: 4_000,
  };
  const { results } = await runCLI(argv, [root]);
  const messages = results.testResults.map(({ failureMessage }) => failureMessage);
  process.send({ passed: results.success && results.numPassedTests > 0, messages });
});
