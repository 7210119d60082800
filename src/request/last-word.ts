/**
 * Owns: having the last word on the headers of a response, whatever wrappers of its methods were or will be installed. Only what
 * Node documents is used.
 *
 * Over HTTP/1 all ways to answer end in Node's `writeHead`, which looks at the public `statusMessage` once more after it has
 * merged its arguments into the headers that were set, and before it writes them. So that property becomes an accessor. Node
 * merges only if a header has been set; where none has, the arguments are changed, or a header is set so that it merges. Over
 * HTTP/2 all ways end in a method of the stream. Next: response-privacy.ts.
 */
import { ServerResponse, validateHeaderValue } from 'node:http';
import { concernsCaches, type LeavingHeaders } from './private-headers';

/** Changes the headers of a response. May be called several times for one response. Does not throw. */
export interface HeaderRule {
  apply(headers: LeavingHeaders, res: ServerResponse): void;
}

const MESSAGE = Symbol('express-aam-segments: statusMessage');
const IS_APPLIED = Symbol('express-aam-segments: applied');
const MAKE_MERGEABLE = Symbol('express-aam-segments: merge');

interface RuledResponse extends ServerResponse {
  [MESSAGE]?: string | undefined;
  /** Node's own `writeHead` is running, with arguments that the rule has been applied to. */
  [IS_APPLIED]?: boolean;
  /** Prepares the running `writeHead` for merging its arguments. */
  [MAKE_MERGEABLE]?: (() => void) | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: the overloads of Node
type WriteHead = (...args: any[]) => ServerResponse;
type Accessor = PropertyDescriptor & ThisType<RuledResponse>;

const node = ServerResponse.prototype;
const nodeWriteHead: WriteHead = node.writeHead;

export class LastWord {
  readonly #rule: HeaderRule;
  /** Shared by all responses: making one for each would take longer than all the rest. */
  readonly #accessor: Accessor;
  /** The same for responses on which no header has been set so far. */
  readonly #bareAccessor: Accessor;

  constructor(rule: HeaderRule) {
    this.#rule = rule;
    const apply = (res: RuledResponse) => {
      if (!res.headersSent && !res[IS_APPLIED]) rule.apply(new ResponseHeaders(res, node), res);
    };
    const applyFirst = (res: RuledResponse) => {
      if (res.headersSent || res[IS_APPLIED]) return;
      // The rule sets a header, and so Node will merge.
      if (hasNoHeader(res)) res[MAKE_MERGEABLE]?.();
      apply(res);
    };
    this.#accessor = {
      configurable: true,
      enumerable: true,
      get() {
        const message = this[MESSAGE];
        // Without one, Node only asks whether it has to set the default. It merges after that.
        if (message !== undefined) apply(this);
        return message;
      },
      set(message: string | undefined) {
        this[MESSAGE] = message;
      },
    };
    this.#bareAccessor = {
      configurable: true,
      enumerable: true,
      get() {
        applyFirst(this);
        return this[MESSAGE];
      },
      set(message: string | undefined) {
        this[MESSAGE] = message;
        applyFirst(this);
      },
    };
  }

  /**
   * Applies the rule when the headers leave, after everybody else.
   * @throws if the response is such that nothing can be added to it
   */
  haveOn(given: ServerResponse): void {
    const res = ownerOf(given) as RuledResponse;
    if (!(res instanceof ServerResponse)) {
      this.#haveOnOther(given, res);
      return;
    }
    // Nearly always there is none, and hasOwn() takes less time.
    const before = Object.hasOwn(res, 'statusMessage')
      ? (Object.getOwnPropertyDescriptor(res, 'statusMessage') as Accessor | undefined)
      : undefined;
    if (before?.get === this.#accessor.get || before?.get === this.#bareAccessor.get) return;
    const isBare = hasNoHeader(res);
    const accessor = isBare ? this.#bareAccessor : this.#accessor;
    if (before?.get === undefined) {
      const { statusMessage } = res;
      // A new property of a response costs as much as all the rest.
      if (statusMessage !== undefined) res[MESSAGE] = statusMessage;
      Object.defineProperty(res, 'statusMessage', accessor);
    } else {
      Object.defineProperty(res, 'statusMessage', both(before, accessor));
    }
    if (isBare) ruleArguments(res, this.#rule);
  }

  #haveOnOther(given: ServerResponse, owner: ServerResponse): void {
    const { stream } = given as { stream?: RespondingStream };
    if (typeof stream?.respond === 'function') ruleStream(stream, given, this.#rule);
    // What only looks like a response, as in a unit test, does not end in Node's `writeHead`.
    else this.#rule.apply(new ResponseHeaders(owner, owner), owner);
  }
}

function hasNoHeader(res: ServerResponse): boolean {
  // Express sets this one, and looking for it takes less time than listing all.
  return !node.hasHeader.call(res, 'x-powered-by') && node.getHeaderNames.call(res).length === 0;
}

/** The accessor of another instance's rule stays. */
function both(first: Accessor, second: Accessor): Accessor {
  return {
    configurable: true,
    enumerable: true,
    get() {
      first.get?.call(this);
      return second.get?.call(this);
    },
    set(message: string | undefined) {
      first.set?.call(this, message);
      second.set?.call(this, message);
    },
  };
}

/** The response itself, behind objects that were made of it by `Object.create()`: the last that has a `req` of its own. */
export function ownerOf(res: ServerResponse): ServerResponse {
  // Nearly always it is the response itself.
  if (Object.hasOwn(res, 'req') && !('req' in Object.getPrototypeOf(res))) return res;
  let owner: object = res;
  for (let each: object | null = res; each !== null; each = Object.getPrototypeOf(each)) {
    if (Object.hasOwn(each, 'req')) owner = each;
  }
  return owner as ServerResponse;
}

/**
 * Where no header has been set, Node writes the arguments of `writeHead` as they are, with repeated names and in forms that it
 * does not take, or not in all versions, once one has been set. So the rule is applied to them.
 */
function ruleArguments(res: RuledResponse, rule: HeaderRule): void {
  const inner: WriteHead = res.writeHead;
  res.writeHead = function writeHead(this: RuledResponse, ...args: unknown[]): ServerResponse {
    const at = headersIn(args);
    if (this.headersSent || !hasNoHeader(this)) return inner.apply(this, args);
    if (inner !== nodeWriteHead) return withMergeable(this, args[at], () => inner.apply(this, args));
    const given = args[at];
    const ruled = typeof given === 'object' && given !== null ? withRule(given, rule, this) : undefined;
    if (ruled === undefined) return inner.apply(this, args);
    args[at] = ruled;
    this[IS_APPLIED] = true;
    try {
      return inner.apply(this, args);
    } finally {
      this[IS_APPLIED] = false;
    }
  } as typeof res.writeHead;
}

/** Where Node finds the headers among the arguments of `writeHead`. */
function headersIn(args: readonly unknown[]): number {
  return typeof args[1] === 'string' || args[1] === undefined || args[1] === null ? 2 : 1;
}

/**
 * Runs somebody else's wrapper of `writeHead`, which may change the arguments, or set headers. If it comes to Node without any
 * header set, the arguments will be merged although they would have been written as they are: so they are made mergeable.
 */
function withMergeable<T>(res: RuledResponse, given: unknown, run: () => T): T {
  let undo = () => {};
  res[MAKE_MERGEABLE] = () => {
    res[MAKE_MERGEABLE] = undefined;
    const unflatten = Array.isArray(given) && Array.isArray(given[0]) ? flattened(given) : () => {};
    const ungather = gatheringRepeated(res);
    undo = () => {
      unflatten();
      ungather();
    };
  };
  try {
    return run();
  } finally {
    res[MAKE_MERGEABLE] = undefined;
    undo();
  }
}

/** Turns a list of pairs into a flat one, in place. Returns what turns it back. */
function flattened(list: unknown[]): () => void {
  const before = [...list];
  try {
    list.splice(0, list.length, ...list.flat());
    return () => void list.splice(0, list.length, ...before);
  } catch {
    // Frozen: Node refuses it.
    return () => {};
  }
}

/** A name that is set a second time gets a second value. Returns what ends that. */
function gatheringRepeated(res: ServerResponse): () => void {
  const own = Object.getOwnPropertyDescriptor(res, 'setHeader');
  const { setHeader } = res;
  const seen = new Set<string>();
  res.setHeader = function (this: ServerResponse, name, value) {
    const key = String(name).toLowerCase();
    if (seen.has(key) && this.hasHeader(key)) return this.appendHeader(name, value as string);
    seen.add(key);
    return setHeader.call(this, name, value);
  } as typeof setHeader;
  return () => {
    if (own === undefined) Reflect.deleteProperty(res, 'setHeader');
    else Object.defineProperty(res, 'setHeader', own);
  };
}

/** An HTTP/2 stream, whose methods answer in place of the response's. */
export interface RespondingStream {
  respond(headers?: object, options?: object): void;
  respondWithFile(path: unknown, headers?: object, options?: object): void;
  respondWithFD(fd: unknown, headers?: object, options?: object): void;
  [MESSAGE]?: HeaderRule;
}

function ruleStream(stream: RespondingStream, res: ServerResponse, rule: HeaderRule): void {
  if (stream[MESSAGE] === rule) return;
  stream[MESSAGE] = rule;
  const { respond, respondWithFile, respondWithFD } = stream;
  const ruled = (headers: object = {}) => withRule(headers, rule, res) ?? headers;
  stream.respond = (headers, options) => respond.call(stream, ruled(headers), options);
  stream.respondWithFile = (path, headers, options) => respondWithFile.call(stream, path, ruled(headers), options);
  stream.respondWithFD = (fd, headers, options) => respondWithFD.call(stream, fd, ruled(headers), options);
}

/** Headers that have been set on a response. */
class ResponseHeaders implements LeavingHeaders {
  readonly #res: ServerResponse;
  readonly #methods: ServerResponse;

  /** @param methods Node's own: wrappers that others have put on the response must not change what the rule sets */
  constructor(res: ServerResponse, methods: ServerResponse) {
    this.#res = res;
    this.#methods = methods;
  }

  get names(): readonly string[] {
    return this.#methods.getHeaderNames.call(this.#res);
  }

  get(name: string): unknown {
    return this.#methods.getHeader.call(this.#res, name);
  }

  set(name: string, value: string | readonly string[]): void {
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

  set(name: string, value: string | readonly string[]): void {
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

/** A copy of given headers with the rule applied, in the same form; `undefined` for those that Node refuses, and is to. */
function withRule(given: object, rule: HeaderRule, res: ServerResponse): object | undefined {
  const pairs = pairsOf(given);
  if (!pairs?.every((pair) => !concernsCaches(pair[0].toLowerCase()) || isValid(pair))) return undefined;
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
