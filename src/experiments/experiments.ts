/** Owns: the experiments of one instance: their names, their holdouts, and whom their exposures are told. Next: ../middleware.ts. */
import type { IncomingMessage } from 'node:http';
import { exposureChannel } from '../channels/channels';
import type { ExposureMessage } from '../channels/messages';
import { promisedBy } from '../handed-over/reading';
import { assert } from '../option-checks';
import { SiteCallback } from '../request/site-callback';
import { segmentsServedBy } from '../routing/request-segments';
import type { Instance } from '../segments/visitor-segments';
import { createExperiment, type Experiment, type Exposure } from './experiment';
import { type ExperimentHoldout, type ResolvedExperiment, resolveExperiment } from './experiment-options';
import type { StickyUnits } from './sticky-units';

export class Experiments {
  readonly #instance: Instance;
  /** Variants by the name of their experiment. */
  readonly #variants = new Map<string, readonly string[]>();
  readonly #holdouts = new Map<string, ExperimentHoldout & Pick<ResolvedExperiment, 'unit'>>();
  readonly #callback: SiteCallback<unknown> | undefined;
  readonly #stickyUnits: StickyUnits | undefined;

  constructor(
    instance: Instance,
    onExposure: ((exposure: Exposure, req: unknown) => unknown) | undefined,
    stickyUnits?: StickyUnits,
  ) {
    this.#instance = instance;
    this.#stickyUnits = stickyUnits;
    this.#callback =
      onExposure &&
      new SiteCallback('options.experiments.onExposure', 'WRN_AAM_ON_EXPOSURE_THREW', (told) =>
        onExposure(...(told as [Exposure, unknown])),
      );
  }

  /** @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_UNKNOWN_SEGMENT` */
  define(options: unknown): Experiment {
    const config = resolveExperiment(options, this.#instance.names);
    const { name, variants } = config;
    assert(!this.#variants.has(name), 'experiment.name', 'defined once', name);
    this.#join(config);
    this.#variants.set(
      name,
      variants.map(({ variant }) => variant),
    );
    const segmentsOf = segmentsServedBy(this.#instance);
    return createExperiment(config, segmentsOf, (exposure, req) => this.#tell(exposure, req), this.#stickyUnits);
  }

  /** The variants of an experiment; `undefined` if none has been defined by this name. */
  variantsOf(name: string): readonly string[] | undefined {
    return this.#variants.get(name);
  }

  /** Another unit or share would keep other people out of each experiment. */
  #join({ holdout, unit }: ResolvedExperiment): void {
    if (holdout === undefined) return;
    const known = this.#holdouts.get(holdout.name);
    if (known === undefined) {
      this.#holdouts.set(holdout.name, { ...holdout, unit });
      return;
    }
    const { percent } = known;
    assert(percent === holdout.percent, 'experiment.holdout.percent', `${percent}, as elsewhere`, holdout.percent);
    assert(unit === known.unit, 'experiment.unit', `'${known.unit}', as elsewhere with this holdout`, unit);
  }

  #tell(exposure: Exposure, req: IncomingMessage): void {
    if (exposureChannel.hasSubscribers) {
      const message: ExposureMessage = { instance: this.#instance.middleware as object, ...exposure };
      exposureChannel.publish(message);
    }
    // An asynchronous function is fine: nothing waits for it.
    const answer = this.#callback?.call([exposure, req], undefined);
    promisedBy(answer)?.catch((error: unknown) => this.#callback?.threw(error));
  }
}
