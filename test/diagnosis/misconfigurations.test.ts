import express from 'express';
import { MISCONFIGURATIONS, seenOf } from './misconfigurations';

const ECID = /\d{38}/;

it.each(MISCONFIGURATIONS.map((each) => [each.made, each] as const))(
  '%s: is said once',
  async (_made, misconfiguration) => {
    const { code, says } = misconfiguration;
    const seen = await seenOf(misconfiguration, express);
    expect(seen).toEqual([
      { code, text: expect.any(String), help: expect.stringMatching(new RegExp(`#${code.toLowerCase()}$`)) },
    ]);
    for (const each of says) expect(seen[0]?.text).toMatch(each);
    expect(seen[0]?.text).not.toMatch(ECID);
  },
);
