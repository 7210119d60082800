/**
 * Owns: telling the site, once, that something is wrong which only somebody can put right: a wrong alias, ids that
 * Adobe has not enabled. Such trouble comes with every call, and a visitor's status does not show what it is.
 */
import type { DcsReply } from '../dcs/protocol/reply';

export interface ConfigurationAdviceConfig {
  /** What a code of the DCS means for the site, and what to do; of codes that are about one visitor, nothing. */
  readonly adviceOnCode: ReadonlyMap<number, string>;
  /** Whether segment ids are asked for. */
  readonly wantsSegmentIds: boolean;
}

/** So many usable answers without a list of ids are no coincidence. */
const ANSWERS_WITHOUT_IDS = 10;

export class ConfigurationAdvice {
  readonly #config: ConfigurationAdviceConfig;
  readonly #given = new Map<number | 'd_cts', string>();
  #answersWithoutIds = 0;

  constructor(config: ConfigurationAdviceConfig) {
    this.#config = config;
  }

  /** All that was said so far. */
  get given(): readonly string[] {
    return [...this.#given.values()];
  }

  onCode(code: number): void {
    const advice = this.#config.adviceOnCode.get(code);
    if (advice !== undefined) this.#say(code, `DCS error ${code}: ${advice}`);
  }

  onReply({ errors, hasSegmentIds }: DcsReply): void {
    for (const code of errors) this.onCode(code);
    if (!this.#config.wantsSegmentIds) return;
    // An account either has them in every answer or in none.
    if (hasSegmentIds) this.#answersWithoutIds = Number.NEGATIVE_INFINITY;
    else if (++this.#answersWithoutIds === ANSWERS_WITHOUT_IDS) this.#say('d_cts', WITHOUT_IDS);
  }

  #say(key: number | 'd_cts', advice: string): void {
    if (this.#given.has(key)) return;
    this.#given.set(key, advice);
    process.emitWarning(advice, { code: 'WRN_AAM_DCS' });
  }
}

const WITHOUT_IDS =
  'no answer of the DCS has a list of segment ids; ask Adobe to enable d_cts for your account, or map the segments to a ' +
  "cookie destination, configure it as the option 'destinations' and set 'dcs.segmentIds' to false";
