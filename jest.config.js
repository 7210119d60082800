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
    // Published as ES modules only.
    '/node_modules/(parse5|entities)/.+\\.js$': [
      '@swc/jest',
      { jsc: { target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: ['/node_modules/(?!(parse5|entities)/)'],
  moduleNameMapper: {
    '^express-aam-segments$': '<rootDir>/src/index.ts',
    '^express-aam-segments/redis$': '<rootDir>/src/redis/public.ts',
    '^express-aam-segments/testing$': '<rootDir>/src/testing/public.ts',
    '^express$': express,
  },
});

module.exports = {
  projects: [
    // `npm test`: all tests but those that start a browser or processes or take seconds, which are named *.slow.test.ts.
    project('fast', { leftOut: ['\\.(slow|fleet)\\.test\\.ts$'] }),
    project('slow', { match: '*.slow.test.ts' }),
    // `npm run test:fleet`: with real servers of Redis.
    project('fleet', { match: '*.fleet.test.ts' }),
    project('express4', {
      express: 'express4',
      leftOut: [
        // Without an Express app,
        '/test/(cache|cli|dcs|model|options|redis|segments|shared-tier|signing|testing)/',
        '/test/(architecture|docs|docs-claims)\\.test\\.ts$',
        '/test/channels/dcs-publisher\\.',
        '/test/consent/(adobe-consent|gpp|tcf|us-privacy)\\.',
        '/test/bootstrap/(script-element|templates|browser)\\.',
        '/test/diagnosis/(option-names|troubleshooting)\\.',
        '/test/experiments/(allocation|exposures|statistics)\\.',
        '/test/handed-over/showing\\.',
        '/test/identity/(amcv-cookie|cookie-grammar|visitor|web-sdk-cookies)\\.',
        '/test/lookup/(abort-signal|answer-loader|generations)\\.',
        '/test/request/bots\\.',
        '/test/resilience/(chaos-calls|flow/unlucky-calls)\\.',
        '/test/consent/(refusal-matrix|iab-agreement)\\.slow\\.test\\.ts$',
        '\\.fleet\\.test\\.ts$',
        // and with one in another process, which loads its own Express.
        '/test/example-app/server\\.slow\\.test\\.ts$',
      ],
    }),
  ],
  // No test is about its own speed: a busy machine must not make one fail.
  testTimeout: 20_000,
  coverageProvider: 'v8',
  // The command line runs in its own processes, where coverage is not measured.
  collectCoverageFrom: ['src/**/*.ts', '!src/cli/**'],
  coverageThreshold: { global: { branches: 95 } },
};
