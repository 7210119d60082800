/**
 * Owns: warnings about the configuration that answers of the DCS reveal, such as a wrong alias or segment ids that Adobe has
 * not enabled. Every call then has the same problem, and `status` and `reason` do not show it; so each is warned about once.
 */
import type { DcsReply } from '../dcs/protocol/reply';
import { Warnings } from '../diagnosis/warnings';

export interface ConfigurationAdviceConfig {
  /** By DCS error code: what is wrong and what to do. Has no codes that are about a single visitor. */
  readonly adviceOnCode: ReadonlyMap<number, string>;
  /** Whether segment ids are requested. */
  readonly wantsSegmentIds: boolean;
}

export class ConfigurationAdvice {
  readonly #config: ConfigurationAdviceConfig;
  readonly #warnings = new Warnings();
  #hasSeenIds = false;

  constructor(config: ConfigurationAdviceConfig) {
    this.#config = config;
  }

  /** All advice so far. */
  get given(): readonly string[] {
    return this.#warnings.given;
  }

  onCode(code: number): void {
    const advice = this.#config.adviceOnCode.get(code);
    if (advice !== undefined) this.#warnings.warn('WRN_AAM_DCS', `DCS error ${code}: ${advice}`);
  }

  onReply({ errors, hasSegmentIds }: DcsReply): void {
    for (const code of errors) this.onCode(code);
    if (!this.#config.wantsSegmentIds || this.#hasSeenIds) return;
    // An account has them in all answers or in none, so one answer shows which.
    if (hasSegmentIds) {
      this.#hasSeenIds = true;
      this.#warnings.takeBack(WITHOUT_IDS);
    } else this.#warnings.warn('WRN_AAM_NO_SEGMENT_IDS', WITHOUT_IDS);
  }
}

const WITHOUT_IDS =
  "An answer of the DCS has no list of segment ids, which 'dcs.segmentIds' asks for. Ask Adobe to enable d_cts for your account, " +
  "or map the segments to a cookie destination, configure it in the option 'destinations' and set 'dcs.segmentIds' to false.";
