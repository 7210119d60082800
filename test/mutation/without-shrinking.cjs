// Jest setup file: a counterexample need not be the shortest to kill a mutant.
require('fast-check').configureGlobal({ endOnFailure: true });
