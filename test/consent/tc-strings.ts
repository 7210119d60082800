/** TC strings written by the IAB's own library. */
import { GVL, PurposeRestriction, type RestrictionType, type Segment, TCModel, TCString } from '@iabtechlabtcf/core';

export interface Choices {
  readonly vendors?: readonly number[];
  readonly purposes?: readonly number[];
  readonly vendorsWithInterest?: readonly number[];
  /** @default all vendors of the list */
  readonly disclosed?: readonly number[];
  /** @default now */
  readonly createdAt?: Date;
  /** @default createdAt */
  readonly updatedAt?: Date | undefined;
  /** @default 5, that of TCF 2.3 */
  readonly policyVersion?: number;
  /** @default true */
  readonly isServiceSpecific?: boolean;
  /** Behind the core, in this order. @default only the disclosed vendors */
  readonly segments?: readonly ('vendorsDisclosed' | 'publisherTC')[];
  readonly restrictions?: readonly {
    readonly vendor: number;
    readonly purpose: number;
    readonly type: RestrictionType;
  }[];
}

export const VENDORS = [1, 2, 3, 564, 565, 566, 700, 1_000];

/** The TC string that a consent management platform writes for these choices. */
export function tcStringOf({
  vendors = [565],
  purposes = [1, 10],
  vendorsWithInterest = [],
  disclosed = VENDORS,
  createdAt = new Date(),
  updatedAt = createdAt,
  policyVersion = 5,
  isServiceSpecific = true,
  segments = ['vendorsDisclosed'],
  restrictions = [],
}: Choices = {}): string {
  const model = new TCModel(gvl());
  model.cmpId = 10;
  model.cmpVersion = 1;
  model.consentScreen = 1;
  model.consentLanguage = 'EN';
  model.isServiceSpecific = isServiceSpecific;
  model.policyVersion = policyVersion;
  model.created = createdAt;
  model.lastUpdated = updatedAt;
  model.purposeConsents.set([...purposes]);
  model.vendorConsents.set([...vendors]);
  model.vendorsDisclosed.set([...disclosed]);
  model.vendorLegitimateInterests.set([...vendorsWithInterest]);
  for (const { vendor, purpose, type } of restrictions) {
    model.publisherRestrictions.add(vendor, new PurposeRestriction(purpose, type));
  }
  return TCString.encode(model, { segments: ['core', ...segments] as Segment[] });
}

function gvl(): GVL {
  const purposes = Object.fromEntries(
    Array.from({ length: 11 }, (_, n) => [n + 1, { id: n + 1, name: '', description: '', descriptionLegal: '' }]),
  );
  const vendor = (id: number) => ({
    id,
    name: `vendor ${id}`,
    purposes: [1, 2, 10],
    legIntPurposes: [7],
    flexiblePurposes: [2, 10],
    specialPurposes: [],
    features: [],
    specialFeatures: [],
    policyUrl: '',
    overflow: { httpGetLimit: 128 },
  });
  return new GVL({
    gvlSpecificationVersion: 3,
    vendorListVersion: 50,
    tcfPolicyVersion: 4,
    lastUpdated: '2026-01-01T00:00:00Z',
    purposes,
    specialPurposes: {},
    features: {},
    specialFeatures: {},
    stacks: {},
    dataCategories: {},
    vendors: Object.fromEntries(VENDORS.map((id) => [id, vendor(id)])),
  } as unknown as ConstructorParameters<typeof GVL>[0]);
}
