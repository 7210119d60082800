import express from 'express';
import { AamError, aamSegments, requireSegment, routeBySegment } from 'express-aam-segments';

const aam = aamSegments({
  orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
  partner: 'acme',
  segments: { golfFans: 984263, highValue: '985264' },
  maxWaitMs: 5_000,
  dcs: { defaultOrigin: process.env.DCS_ORIGIN, origins: {} },
});

const app = express();
app.use(aam);
app.get('/', (req, res) => res.send(req.aamSegments.has('highValue') ? 'upgrade' : 'join'));
app.get('/members', requireSegment('highValue'), (_req, res) => res.send('members'));
app.use('/lounge', requireSegment('highValue', { otherwise: 403 }), (_req, res) => res.send('lounge'));
app.get(
  '/landing',
  routeBySegment({
    golfFans: (_req, res) => res.send('golf'),
    highValue: [(_req, _res, next) => next(), (_req, res) => res.send('vip')],
    default: (_req, res) => res.send('plain'),
  }),
);

export { AamError, aam, app };
