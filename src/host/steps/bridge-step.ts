/**
 * Step: the bridge that the containers of a slice are attached to, with the gateway address on it.
 *
 * Its MAC is derived from the gateway address, which one host in the overlay has: a bridge without a MAC of its own
 * takes that of its lowest port, and changes it under the containers' feet. Its MTU is set explicitly for the same
 * reason.
 */
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, prefixOf, samePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { deleteLink, ensureAddress, findLink, type Link, OWN_ALIAS, readAddresses } from '../links.js';
import { readMainRoutes } from '../routes.js';
import { run } from '../run.js';
import { disableIpv6 } from '../sysctl.js';
import type { StepKind } from './step.js';

export interface BridgeData {
  readonly bridge: string;
  readonly mtu: number;
  /** The first of the host's addresses, in text. */
  readonly gateway: string;
  /** Prefix length of the slice. */
  readonly length: number;
  /** How many addresses the host keeps, from the gateway on. */
  readonly hostReserve: number;
  /** Set once the name was found free or ours: from then on what has this name and our MAC is this step's. */
  readonly claimed?: boolean;
}

export const bridgeStep: StepKind<BridgeData> = {
  describe: ({ bridge }) => `set up bridge ${bridge}`,

  async prepare(data) {
    const link = data.claimed ? undefined : await findLink(data.bridge);
    if (link && !isOurs(link, data)) {
      throw new FanError(
        'in-use',
        `a device ${data.bridge} exists and is not ours: remove it (ip link delete dev ${data.bridge}) ` +
          'or choose another name with "bridge NAME"',
      );
    }
    return { ...data, claimed: true };
  },

  async apply(data) {
    const { bridge, mtu } = data;
    const link = await findLink(bridge);
    if (link && !isOurs(link, data))
      throw new FanError('in-use', `device ${bridge} was made by somebody else`);
    if (!link) {
      // Only a *change* of MTU pins it, so it starts as another one.
      const start = ['mtu', String(mtu + 1), 'address', macOf(data.gateway)];
      await run('ip', ['link', 'add', 'name', bridge, ...start, 'type', 'bridge']);
    }
    await disableIpv6(bridge);
    const settings = ['alias', OWN_ALIAS, 'address', macOf(data.gateway), 'mtu', String(mtu)];
    await run('ip', ['link', 'set', 'dev', bridge, ...settings, 'up']);
    for (const address of addressesOf(data)) await ensureAddress(bridge, address, data.length);
    await ensureRoute(data);
    await check(data);
  },

  async undo(data) {
    const link = await findLink(data.bridge);
    if (!link) return undefined;
    if (!isOurs(link, data)) return `device ${data.bridge} is no longer the one that ufan made: left alone`;
    await deleteLink(data.bridge);
    return undefined;
  },
};

/** Locally administered (02), then "fa", then the gateway address: unique in the overlay. */
export function macOf(gateway: string): string {
  const octets = formatAddress(parseAddress(gateway)).split('.').map(Number);
  return ['02', 'fa', ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':');
}

/** By its alias, or by the MAC where we were stopped between making it and naming it. */
function isOurs(link: Link, data: BridgeData): boolean {
  return link.kind === 'bridge' && (link.alias === OWN_ALIAS || link.hardwareAddress === macOf(data.gateway));
}

function addressesOf(data: BridgeData): number[] {
  const gateway = parseAddress(data.gateway);
  return Array.from({ length: data.hostReserve }, (_, i) => gateway + i);
}

/** The kernel makes it with the address; somebody may have flushed it since. */
async function ensureRoute({ bridge, gateway, length }: BridgeData): Promise<void> {
  const slice = prefixOf(parseAddress(gateway), length);
  const routes = await readMainRoutes();
  if (routes.some((route) => route.device === bridge && samePrefix(route.destination, slice))) return;
  const how = ['dev', bridge, 'proto', 'kernel', 'scope', 'link', 'src', gateway];
  await run('ip', ['-4', 'route', 'prepend', formatPrefix(slice), ...how]);
}

async function check(data: BridgeData): Promise<void> {
  const link = await findLink(data.bridge);
  const addresses = (await readAddresses()).filter((a) => a.device === data.bridge).map((a) => a.address);
  const missing = addressesOf(data).filter((address) => !addresses.includes(address));
  if (link?.mtu === data.mtu && link.flags.includes('UP') && missing.length === 0) return;
  throw new FanError(
    'step-failed',
    `${data.bridge} is not as it was set: MTU ${link?.mtu}, ${link?.flags.includes('UP') ? 'up' : 'down'}` +
      missing.map((address) => `, without ${formatAddress(address)}`).join(''),
  );
}
