/** @param leftOut patterns of paths, beside those of dependencies */
const project = (displayName, { match = '*.test.ts', express = 'express', leftOut = [] } = {}) => ({
  displayName,
  testMatch: [`<rootDir>/test/**/${match}`],
  testPathIgnorePatterns: ['/node_modules/', ...leftOut],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  moduleNameMapper: {
    '^express-aam-segments$': '<rootDir>/src/index.ts',
    '^express-aam-segments/testing$': '<rootDir>/src/testing/dcs-simulator.ts',
    '^express$': express,
  },
});

module.exports = {
  projects: [
    // `npm test`: all but what starts a browser or processes, or plays for seconds. That is called *.slow.test.ts.
    project('fast', { leftOut: ['\\.slow\\.test\\.ts$'] }),
    project('slow', { match: '*.slow.test.ts' }),
    project('express4', {
      express: 'express4',
      leftOut: [
        // No Express app in any of these...
        '/test/(cache|cli|dcs|model|options|segments|testing)/',
        '/test/architecture\\.test\\.ts$',
        // ...and here it is in a process that finds its Express itself.
        '/test/example-app/server\\.slow\\.test\\.ts$',
      ],
    }),
  ],
  coverageProvider: 'v8',
  // The command line runs in processes of its own, where nobody counts.
  collectCoverageFrom: ['src/**/*.ts', '!src/cli/**'],
  coverageThreshold: { global: { branches: 95 } },
};
