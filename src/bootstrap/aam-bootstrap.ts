/** Owns: what the scripts of a page are told about its visitor. Next: script-element.ts. */
import type { IncomingMessage } from 'node:http';
import { OPTIONS } from '../diagnosis/option-names';
import type { AssignmentReason, Experiment } from '../experiments/experiment';
import type { RegisteredName } from '../express';
import { assert, group, isRecord, isText, optional } from '../option-checks';
import { requestSegments } from '../routing/request-segments';
import { canonicalId } from '../segments/segment-refs';
import { dataScript } from './script-element';

const TAKER = 'aamBootstrap()';
/** The id of the script element. */
const ELEMENT_ID = 'aam-segments';
/** The grammar of a nonce in a Content Security Policy. */
const NONCE = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Options of `aamBootstrap()`. */
export interface BootstrapOptions<Name extends string = RegisteredName> {
  /** The names of the segments that the page is told about. All others stay on the server. */
  readonly only: readonly Name[];
  /**
   * The experiments whose variant the page is told. A variant in the page counts as used, so it is an exposure, as with
   * `variantOf()`.
   * @default none
   */
  readonly variants?: readonly Pick<Experiment, 'name' | 'variantOf' | 'assignmentOf'>[] | undefined;
  /** The nonce of the page's Content Security Policy. The element works without it. @default no attribute */
  readonly nonce?: string | undefined;
}

/** The JSON in the element of `aamBootstrap()`, as scripts of the page read it. Contains no identifier. */
export interface BootstrapData<
  Name extends string = string,
  Variants extends Readonly<Record<string, string>> = Readonly<Record<string, string>>,
> {
  /** Whether there was an answer about the visitor. Without one all segments are `false`, which says nothing about them. */
  readonly isKnown: boolean;
  /** Whether the visitor is in each segment of `only`. */
  readonly segments: Readonly<Record<Name, boolean>>;
  /** The variant of each experiment, and why. Only `assigned` and `holdout` take part in it. */
  readonly variants: {
    readonly [Key in keyof Variants]: { readonly variant: Variants[Key]; readonly reason: AssignmentReason };
  };
}

/**
 * A script element for the page of a request, with a {@link BootstrapData} as JSON, so that scripts in the page can continue
 * with what the server knew: `JSON.parse(document.getElementById('aam-segments').textContent)`. It tells what is listed and
 * nothing else. Names cannot end the element, whatever they contain. Templates must not escape it. The response is private
 * from then on.
 *
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_MIDDLEWARE_MISSING`, and
 * `ERR_AAM_UNKNOWN_SEGMENT` as `req.aamSegments.has()` does
 * @example
 * app.get('/', (req, res) => {
 *   res.render('home', { bootstrap: aamBootstrap(req, { only: ['golfFans'] }) }); // <%- bootstrap %>
 * });
 */
export function aamBootstrap(req: IncomingMessage, options: BootstrapOptions): string {
  const { only, variants = [], nonce } = group<BootstrapOptions>('bootstrap', options, OPTIONS[TAKER], TAKER);
  checkNames(only);
  checkExperiments(variants);
  optional('bootstrap.nonce', nonce, 'a nonce in base64', (given) => isText(given) && NONCE.test(given));
  const segments = requestSegments(req);
  // Checks all names first, so that a misspelt one fails for every visitor, and is the reading of segments for an empty list.
  segments.hasAny(...only);
  const data: BootstrapData = {
    isKnown: segments.isKnown,
    segments: Object.fromEntries(only.map((name) => [name, segments.has(name)])),
    variants: Object.fromEntries(
      variants.map((experiment) => {
        const variant = experiment.variantOf(req);
        return [experiment.name, { variant, reason: experiment.assignmentOf(req).reason }];
      }),
    ),
  };
  return dataScript(ELEMENT_ID, data, nonce);
}

function checkNames(only: unknown): void {
  const path = 'bootstrap.only';
  const rule = 'a list of configured names';
  assert(Array.isArray(only), path, rule, only);
  for (const name of only) {
    // An id would tell the page what the site has hidden behind a name.
    assert(isText(name) && canonicalId(name) === undefined, path, rule, name);
  }
}

function checkExperiments(variants: unknown): void {
  const path = 'bootstrap.variants';
  const rule = 'a list of experiments, as aam.experiment() returns them';
  assert(Array.isArray(variants), path, rule, variants);
  const names = new Set<unknown>();
  for (const experiment of variants) {
    assert(isRecord(experiment) && typeof experiment.variantOf === 'function', path, rule, experiment);
    assert(!names.has(experiment.name), path, 'given once by name', experiment.name);
    names.add(experiment.name);
  }
}
