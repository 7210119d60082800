// A site without a registered instance: any string is a name on requests, while the instance itself knows its names.
import type { Request } from 'express';
import { aamSegments, type RegisteredName, requireSegment, routeBySegment } from 'express-aam-segments';

export const aam = aamSegments({ orgId: '1FD6776A524453CC0A490D44', partner: 'acme', segments: { golfFans: 984263 } });
export const name: RegisteredName = 'any name';
export const guards = [requireSegment('any name'), routeBySegment({ anyName: (_req, res) => void res.end() })];
export const isFan = (req: Request): boolean => req.aamSegments.has('any name') || req.aamSegments.has(984263);

// @ts-expect-error nothing else is a name
export const notAName: RegisteredName = 42;
// @ts-expect-error the instance knows its names
aam.requireSegment('any name');
