/** Owns: why a request has no segments where they are needed, as far as this process can tell. Next: ../routing/request-segments.ts. */
import { helpFor } from '../diagnosis/help';
import { AamError } from '../errors';
import { type Instance, VisitorSegments } from './visitor-segments';

/** The instances of the middleware, the newest last. Of more than these, which a site does not have, the newest ones tell. */
const MAX_INSTANCES = 32;
const instances: WeakRef<Instance>[] = [];

/** Makes an instance known, without keeping it. */
export function addInstance(instance: Instance): void {
  instances.push(new WeakRef(instance));
  if (instances.length > MAX_INSTANCES) instances.shift();
}

/**
 * The error of a guard, a router or a method that needs the middleware to have run.
 * @param caller what needs it, as the beginning of a sentence
 * @param shown `req.aamSegments`
 * @param instance the one that is needed; `undefined` if any will do
 */
export function middlewareMissing(caller: string, shown: unknown, instance: Instance | undefined): AamError {
  const link = `See ${helpFor('ERR_AAM_MIDDLEWARE_MISSING')}`;
  return new AamError('ERR_AAM_MIDDLEWARE_MISSING', `${caller}: ${reason(shown, instance)}. ${link}`);
}

function reason(shown: unknown, instance: Instance | undefined): string {
  const isServed = VisitorSegments.middlewareOf(shown as VisitorSegments) !== undefined;
  if (shown !== undefined && !isServed) return REPLACED;
  if (instance !== undefined) return isServed ? RAN_ANOTHER : whetherItRan(instance);
  const known = instances.map((each) => each.deref()).filter((each) => each !== undefined);
  if (known.length === 0) return NOT_CREATED;
  return known.some((each) => each.hasServed?.()) ? RAN_FOR_OTHERS : NEVER_RAN;
}

function whetherItRan({ hasServed }: Instance): string {
  if (hasServed === undefined) return NO_MIDDLEWARE;
  return hasServed() ? RAN_FOR_OTHERS : NEVER_RAN;
}

const NO_MIDDLEWARE =
  'a client of createDcsClient() serves no requests. Use lookup() of the middleware that aamSegments() returns';
const REPLACED = 'req.aamSegments is there and was set by something else, or by another copy of the package';
const NOT_CREATED =
  'aamSegments() was not called in this process, or by another copy of the package (npm ls express-aam-segments). Create the middleware and mount it in front of this handler';
const NEVER_RAN =
  'the middleware has not run for any request so far. Mount it with app.use(aam) in front of all routes that need it';
const RAN_FOR_OTHERS =
  'the middleware runs for other requests, and has not run for this one. It is mounted behind this handler, under another path or in another router: move app.use(aam) in front of it';
const RAN_ANOTHER =
  'another instance of the middleware has run for this request. Use the methods of that one, or mount this one in front of this handler as well';
