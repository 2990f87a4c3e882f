/**
 * Step: the route that sends the overlay to the TUN, with the gateway address as the host's own source: a packet
 * from any other source would be dropped by the peer.
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { parsePrefix, samePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { type MainRoute, readMainRoutes } from '../routes.js';
import { run } from '../run.js';
import type { StepKind } from './step.js';

/** Whose route it is (rtm_protocol): a number that nobody else has; packaging/network/rt_protos-ufan.conf names it. */
const PROTOCOL = 250;

export interface RouteData {
  readonly overlay: string;
  readonly tun: string;
  /** Preferred source. */
  readonly gateway: string;
}

export const routeStep: StepKind<RouteData> = {
  describe: ({ overlay, tun }) => `route ${overlay} to ${tun}`,

  async apply(data) {
    let routes = await ownRoutes(data);
    if (routes.some(({ source }) => source !== parseAddress(data.gateway))) {
      await removeRoute(data);
      routes = await ownRoutes(data);
    }
    if (routes.length === 0) {
      const how = ['dev', data.tun, 'src', data.gateway, 'proto', `${PROTOCOL}`];
      // Before any that somebody put in its place: theirs stays, and counts again when ours goes.
      await run('ip', ['-4', 'route', 'prepend', data.overlay, ...how]);
    }
    if ((await ownRoutes(data)).length === 0) {
      throw new FanError(
        'step-failed',
        `the route ${data.overlay} dev ${data.tun} is not there after it was added`,
      );
    }
  },

  async undo(data) {
    if ((await ownRoutes(data)).length > 0) await removeRoute(data);
    return undefined;
  },
};

async function ownRoutes(data: RouteData): Promise<MainRoute[]> {
  const overlay = parsePrefix(data.overlay);
  const routes = await readMainRoutes();
  return routes.filter((route) => route.device === data.tun && samePrefix(route.destination, overlay));
}

async function removeRoute(data: RouteData): Promise<void> {
  try {
    await run('ip', ['-4', 'route', 'delete', data.overlay, 'dev', data.tun]);
  } catch (error) {
    if ((await ownRoutes(data)).length > 0) throw error;
  }
}
