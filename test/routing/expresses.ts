import { createRequire } from 'node:module';
import { buildSync } from 'esbuild';
import express from 'express';

/** Express as it is installed, and minified into one file by a bundler. */
export const EXPRESSES: Readonly<Record<string, typeof express>> = {
  Express: express,
  'a minified Express': minified(),
};

function minified(): typeof express {
  const { outputFiles } = buildSync({
    entryPoints: [require.resolve('express')],
    bundle: true,
    minify: true,
    platform: 'node',
    write: false,
  });
  const module = { exports: {} };
  new Function('module', 'exports', 'require', outputFiles[0]?.text ?? '')(
    module,
    module.exports,
    createRequire(__filename),
  );
  return module.exports as typeof express;
}
