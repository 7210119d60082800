/** Objects of somebody else's that do not answer as they should, for whatever is handed over to the package. */
import fc from 'fast-check';

const bang = (): never => {
  throw new Error('bang');
};

const TRAPS = Object.getOwnPropertyNames(Reflect).filter((name) => typeof Reflect[name as 'get'] === 'function');

/** A proxy in which the named traps throw. */
export function throwing(target: object, traps: readonly string[] = TRAPS): object {
  return new Proxy(target, Object.fromEntries(traps.map((trap) => [trap, bang])));
}

/** A proxy that was taken back: even `Array.isArray()` throws. */
export function revoked(target: object = {}): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** The object with getters that throw in place of these properties. */
export function withThrowing<T extends object>(target: T, keys: readonly string[]): T {
  const copy = Array.isArray(target) ? [...target] : { ...target };
  for (const key of keys) Object.defineProperty(copy, key, { get: bang, enumerable: true, configurable: true });
  return copy as T;
}

/** Answers with `first` when a property is first read, and with `then` ever after; counts the reads. */
export function changing<T extends object>(
  first: T,
  then: object,
): { readonly given: T; readonly reads: () => string[] } {
  const reads: string[] = [];
  const given = new Proxy(first, {
    get(target, key, self) {
      const isAgain = reads.includes(String(key));
      reads.push(String(key));
      return Reflect.get(isAgain ? then : target, key, self);
    },
  });
  return { given, reads: () => reads };
}

/**
 * Makes hostile versions of a value: any selection of its proxy's traps throws, or it is revoked, or its properties throw. Made
 * on demand, since fast-check itself would stumble over them.
 */
export function hostile(like: object, keys: readonly string[]): fc.Arbitrary<() => object> {
  return fc.oneof(
    fc.subarray(TRAPS, { minLength: 1 }).map((traps) => () => throwing(like, traps)),
    fc.constant(() => revoked(like)),
    fc.subarray([...keys, 'then'], { minLength: 1 }).map((chosen) => () => withThrowing(like, chosen)),
  );
}
