/**
 * Owns: having the last word on the headers of a response, whatever wrappers of its methods were or will be installed.
 *
 * Over HTTP/1 all ways to answer end in Node's `writeHead`, which assigns the public `statusCode` and only then merges the headers
 * that it was given, by the public `setHeader` and `appendHeader`. So an accessor in the place of `statusCode` runs after all
 * wrappers, and a guard around the two methods after the merge. If a status is set before, headers are changed that early.
 * Over HTTP/2 all ways end in the stream's `respond`. Next: response-privacy.ts.
 */
import { ServerResponse, validateHeaderValue } from 'node:http';
import { concernsCaches, type LeavingHeaders } from './private-headers';

/** Changes the headers of a response. May be called several times for one response. Does not throw. */
export interface HeaderRule {
  apply(headers: LeavingHeaders, res: ServerResponse): void;
}

/** A response on which the rule has the last word. Cheap: all responses share these functions. */
interface RuledResponse extends ServerResponse {
  [RULED]: Ruled;
}

interface Ruled {
  readonly rule: HeaderRule;
  readonly writeHead: WriteHead;
  statusCode: number;
  /** The guards, once they are needed. */
  setHeader: unknown;
  appendHeader: unknown;
  /** Node's own `writeHead` is running, with headers that the rule has been applied to. */
  isApplied: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: the overloads of Node
type WriteHead = (...args: any[]) => ServerResponse;
const RULED = Symbol('express-aam-segments: headers');

const node = ServerResponse.prototype;
const nodeWriteHead: WriteHead = node.writeHead;

/**
 * Applies the rule when the headers leave, after everybody else. The first rule of a response stays.
 * @throws if the response is such that nothing can be added to it
 */
export function haveLastWord(res: ServerResponse, rule: HeaderRule): void {
  const { stream } = res as { stream?: { respond?: unknown } };
  if (typeof stream?.respond === 'function') ruleStream(stream as RespondingStream, res, rule);
  else if (!(RULED in res)) {
    const ruled = res as RuledResponse;
    const { writeHead, statusCode } = res;
    ruled[RULED] = {
      rule,
      writeHead,
      statusCode,
      setHeader: undefined,
      appendHeader: undefined,
      isApplied: false,
    };
    ruled.writeHead = ruledWriteHead as typeof ruled.writeHead;
    Object.defineProperty(ruled, 'statusCode', STATUS_CODE);
  }
}

const STATUS_CODE: PropertyDescriptor & ThisType<RuledResponse> = {
  configurable: true,
  enumerable: true,
  get() {
    return this[RULED].statusCode;
  },
  set(statusCode: number) {
    const ruled = this[RULED];
    ruled.statusCode = statusCode;
    if (ruled.isApplied || this.headersSent) return;
    ruled.rule.apply(new ResponseHeaders(this), this);
    guardMerge(this, ruled);
  },
};

/** From now on, the rule is applied after each header that is set. */
function guardMerge(res: RuledResponse, ruled: Ruled): void {
  if (res.setHeader !== ruled.setHeader) ruled.setHeader = res.setHeader = guarded(res.setHeader);
  if (res.appendHeader !== ruled.appendHeader) ruled.appendHeader = res.appendHeader = guarded(res.appendHeader);
}

// biome-ignore lint/suspicious/noExplicitAny: setHeader and appendHeader
function guarded<M extends (...args: any[]) => any>(method: M): M {
  return function (this: RuledResponse, ...args: unknown[]) {
    const result = method.apply(this, args);
    if (!this.headersSent) this[RULED].rule.apply(new ResponseHeaders(this), this);
    return result;
  } as M;
}

function ruledWriteHead(this: RuledResponse, ...args: unknown[]): ServerResponse {
  const ruled = this[RULED];
  const at = headersIn(args);
  // Node then sends the given headers as they are, with repeated names, and takes nested arrays; and refuses the latter once
  // a header has been set.
  const isOnlyGiven = at > 0 && node.getHeaderNames.call(this).length === 0;
  if (ruled.writeHead !== nodeWriteHead) {
    if (isOnlyGiven && Array.isArray(args[at])) args[at] = asObject(args[at]);
    return ruled.writeHead.apply(this, args);
  }
  // Node merges them, which the accessor and the guards follow.
  if (this.headersSent || (at > 0 && !isOnlyGiven)) return nodeWriteHead.apply(this, args);
  if (isOnlyGiven) {
    args[at] = withRule(args[at] as object, ruled.rule, this);
    // Also if headers had been set and removed again, which cannot be told from here: then they are merged after all.
    guardMerge(this, ruled);
  } else {
    ruled.rule.apply(new ResponseHeaders(this), this);
  }
  ruled.isApplied = true;
  try {
    return nodeWriteHead.apply(this, args);
  } finally {
    ruled.isApplied = false;
  }
}

/** Where Node finds the headers among the arguments of `writeHead`; 0 if there are none. */
function headersIn(args: readonly unknown[]): number {
  const at = typeof args[1] === 'string' || (args[2] !== undefined && args[2] !== null) ? 2 : 1;
  return typeof args[at] === 'object' && args[at] !== null ? at : 0;
}

interface RespondingStream {
  respond(headers?: object, options?: object): void;
  [RULED]?: HeaderRule;
}

function ruleStream(stream: RespondingStream, res: ServerResponse, rule: HeaderRule): void {
  if (stream[RULED] !== undefined) return;
  stream[RULED] = rule;
  const { respond } = stream;
  stream.respond = function (headers = {}, options) {
    respond.call(this, withRule(headers, rule, res), options);
  };
}

/** Headers that have been set on a response. */
class ResponseHeaders implements LeavingHeaders {
  readonly #res: ServerResponse;
  /** Wrappers that others have put on the response must not change what the rule sets; of a test's double it is its own. */
  readonly #methods: ServerResponse;

  constructor(res: ServerResponse) {
    this.#res = res;
    this.#methods = res instanceof ServerResponse ? node : res;
  }

  get names(): readonly string[] {
    return this.#methods.getHeaderNames.call(this.#res);
  }

  get(name: string): unknown {
    return this.#methods.getHeader.call(this.#res, name);
  }

  set(name: string, value: string): void {
    this.#methods.setHeader.call(this.#res, name, value);
  }

  remove(name: string): void {
    this.#methods.removeHeader.call(this.#res, name);
  }
}

type Pair = readonly [name: string, value: unknown];

/** Headers that were given as an argument: an object, or a flat or nested array. */
class GivenHeaders implements LeavingHeaders {
  pairs: Pair[];

  constructor(pairs: Pair[]) {
    this.pairs = pairs;
  }

  get names(): readonly string[] {
    return [...new Set(this.pairs.map(([name]) => name.toLowerCase()))];
  }

  get(name: string): unknown {
    const values = this.pairs.filter((pair) => isNamed(pair, name)).map(([, value]) => value);
    return values.length < 2 ? values[0] : values.flat();
  }

  set(name: string, value: string): void {
    const first = this.pairs.findIndex((pair) => isNamed(pair, name));
    if (first === -1) {
      this.pairs.push([name, value]);
      return;
    }
    const own = (this.pairs[first] as Pair)[0];
    this.pairs = this.pairs.flatMap((pair, n) => (n === first ? [[own, value]] : isNamed(pair, name) ? [] : [pair]));
  }

  remove(name: string): void {
    this.pairs = this.pairs.filter((pair) => !isNamed(pair, name));
  }
}

function isNamed([own]: Pair, name: string): boolean {
  return own.toLowerCase() === name.toLowerCase();
}

/** A copy of given headers with the rule applied, in the same form. */
function withRule(given: object, rule: HeaderRule, res: ServerResponse): object {
  const pairs = pairsOf(given);
  // Node refuses such headers, and is to do so.
  if (pairs === undefined || !pairs.every((pair) => !concernsCaches(pair[0].toLowerCase()) || isValid(pair)))
    return given;
  const headers = new GivenHeaders(pairs);
  rule.apply(headers, res);
  if (!Array.isArray(given)) return Object.fromEntries(headers.pairs);
  return Array.isArray(given[0]) ? headers.pairs : headers.pairs.flat();
}

/** `undefined` if Node cannot read them either. */
function pairsOf(given: object): Pair[] | undefined {
  if (!Array.isArray(given)) return Object.entries(given);
  const isNested = Array.isArray(given[0]);
  if (!isNested && given.length % 2 !== 0) return undefined;
  const pairs = isNested ? given : given.flatMap((name, n) => (n % 2 === 0 ? [[name, given[n + 1]]] : []));
  return pairs.every((pair) => Array.isArray(pair) && typeof pair[0] === 'string') ? pairs : undefined;
}

function isValid([name, value]: Pair): boolean {
  try {
    for (const each of Array.isArray(value) ? value : [value]) validateHeaderValue(name, each);
    return true;
  } catch {
    return false;
  }
}

/** The same headers as an object. Repeated names are one list. */
function asObject(given: unknown[]): unknown {
  const pairs = pairsOf(given);
  if (pairs === undefined) return given;
  const headers = new Map<string, [name: string, values: unknown[]]>();
  for (const [name, value] of pairs) {
    const own = headers.get(name.toLowerCase());
    if (own === undefined) headers.set(name.toLowerCase(), [name, [value]]);
    else own[1].push(value);
  }
  const entries = [...headers.values()].map(([name, values]) => [name, values.length > 1 ? values.flat() : values[0]]);
  return Object.fromEntries(entries);
}
