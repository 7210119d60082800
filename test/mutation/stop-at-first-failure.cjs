// Jest environment: once a test of a file has failed, the rest of the file is skipped. Its outcome is known by then.
const { TestEnvironment } = require('jest-environment-node');

module.exports = class StopAtFirstFailure extends TestEnvironment {
  #hasFailed = false;

  handleTestEvent({ name, test }) {
    if (name === 'test_start' && this.#hasFailed) test.mode = 'skip';
    if ((name === 'test_done' && test.errors.length > 0) || name === 'error' || name === 'hook_failure') {
      this.#hasFailed = true;
    }
  }
};
