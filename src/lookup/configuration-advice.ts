/**
 * Owns: warnings about the configuration that answers of the DCS reveal, such as a wrong alias or segment ids that Adobe has
 * not enabled. Every call then has the same problem, and `status` and `reason` do not show it; so each is warned about once.
 */
import type { DcsReply } from '../dcs/protocol/reply';

export interface ConfigurationAdviceConfig {
  /** By DCS error code: what is wrong and what to do. Has no codes that are about a single visitor. */
  readonly adviceOnCode: ReadonlyMap<number, string>;
  /** Whether segment ids are requested. */
  readonly wantsSegmentIds: boolean;
}

/** After this many usable answers without a list of ids, and none with one, they are taken to be disabled. */
const ANSWERS_WITHOUT_IDS = 10;

export class ConfigurationAdvice {
  readonly #config: ConfigurationAdviceConfig;
  readonly #given = new Map<number | 'd_cts', string>();
  #answersWithoutIds = 0;

  constructor(config: ConfigurationAdviceConfig) {
    this.#config = config;
  }

  /** All advice so far. */
  get given(): readonly string[] {
    return [...this.#given.values()];
  }

  onCode(code: number): void {
    const advice = this.#config.adviceOnCode.get(code);
    if (advice !== undefined) this.#give(code, `DCS error ${code}: ${advice}`);
  }

  onReply({ errors, hasSegmentIds }: DcsReply): void {
    for (const code of errors) this.onCode(code);
    if (!this.#config.wantsSegmentIds) return;
    // An account has them in all answers or in none.
    if (hasSegmentIds) this.#answersWithoutIds = Number.NEGATIVE_INFINITY;
    else if (++this.#answersWithoutIds === ANSWERS_WITHOUT_IDS) this.#give('d_cts', WITHOUT_IDS);
  }

  #give(key: number | 'd_cts', advice: string): void {
    if (this.#given.has(key)) return;
    this.#given.set(key, advice);
    process.emitWarning(advice, { code: 'WRN_AAM_DCS' });
  }
}

const WITHOUT_IDS =
  'The answers of the DCS have no segment ids. Ask Adobe to enable d_cts for your account, or map the segments to a cookie ' +
  "destination, configure it in the option 'destinations' and set 'dcs.segmentIds' to false.";
