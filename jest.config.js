/** What takes a minute is run on demand. */
const slow = process.env.AAM_SLOW_TESTS === undefined ? ['\\.slow\\.test\\.ts$'] : [];

const suites = (name, moduleNameMapper, ...ignored) => ({
  displayName: name,
  testPathIgnorePatterns: ['/node_modules/', ...slow, ...ignored],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  moduleNameMapper: {
    '^express-aam-segments$': '<rootDir>/src/index.ts',
    '^express-aam-segments/testing$': '<rootDir>/src/testing/dcs-simulator.ts',
    ...moduleNameMapper,
  },
});

module.exports = {
  // The command line and the model of flow control know nothing of Express: once is enough.
  projects: [suites('express5', {}), suites('express4', { '^express$': 'express4' }, '/test/cli/', '/test/model/')],
  // All cores: jest leaves one idle, which on two is half of them.
  maxWorkers: '100%',
  coverageProvider: 'v8',
  // The command line runs in processes of its own, where nobody counts.
  collectCoverageFrom: ['src/**/*.ts', '!src/cli/**'],
  coverageThreshold: { global: { branches: 95 } },
};
