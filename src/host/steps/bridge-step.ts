/**
 * Step: the bridge that the containers of a slice are attached to, with the gateway address on it.
 *
 * Its MAC is derived from the gateway address, which one host in the overlay has: a bridge without a MAC of its own
 * takes that of its lowest port, and changes it under the containers' feet. Its MTU is set explicitly for the same
 * reason.
 *
 * A bridge of that name that somebody else made is adopted where it has no other address than the fan's: Docker makes
 * the bridges of its networks at boot, and docker0 may be one. `down` leaves it as it was found. Its mark is another
 * one than that of our own, so that it is never taken for one to remove.
 */
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, prefixOf, samePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import {
  type DeviceAddress,
  type Devices,
  deleteLink,
  ensureAddress,
  findLink,
  type Link,
  linkNamed,
  OWN_ALIAS,
  readDevices,
} from '../links.js';
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
  /** How it was, where it was there before. */
  readonly before?: {
    readonly hardwareAddress: string;
    readonly alias: string;
    readonly mtu: number;
    readonly isUp: boolean;
    /** In text, "250.0.28.1". */
    readonly addresses: readonly string[];
  };
}

/** The alias of a bridge that was there before. */
const ADOPTED_ALIAS = 'ufan-adopted';

export const bridgeStep: StepKind<BridgeData> = {
  describe: ({ bridge }) => `set up bridge ${bridge}`,

  async prepare(data) {
    if (data.claimed) return data;
    const devices = await readDevices();
    const link = requireUsable(data, devices);
    if (!link || isOurs(link, data)) return { ...data, claimed: true };
    const before = {
      hardwareAddress: link.hardwareAddress,
      alias: link.alias,
      mtu: link.mtu,
      isUp: link.flags.includes('UP'),
      addresses: addressesOn(data.bridge, devices).map(({ address }) => formatAddress(address)),
    };
    return { ...data, claimed: true, before };
  },

  async apply(data) {
    const { bridge, mtu } = data;
    const devices = await readDevices();
    const link = linkNamed(devices.links, bridge);
    if (link && !isOurs(link, data))
      throw new FanError('in-use', `device ${bridge} was made by somebody else`);
    if (!link) {
      // Only a *change* of MTU pins it, so it starts as another one.
      const start = ['mtu', String(mtu + 1), 'address', macOf(data.gateway)];
      await run('ip', ['link', 'add', 'name', bridge, ...start, 'type', 'bridge']);
    }
    const isAdopted = link !== undefined && data.before !== undefined && link.alias !== OWN_ALIAS;
    // An engine that made it may have IPv6 on it.
    if (!isAdopted) await disableIpv6(bridge);
    const alias = isAdopted ? ADOPTED_ALIAS : OWN_ALIAS;
    const settings = ['alias', alias, 'address', macOf(data.gateway), 'mtu', String(mtu)];
    await run('ip', ['link', 'set', 'dev', bridge, ...settings, 'up']);
    // With the address comes its route; one that was there may have lost it.
    const hadAddress = addressesOn(bridge, devices).some(({ address }) => address === addressesOf(data)[0]);
    for (const address of addressesOf(data)) {
      await ensureAddress(devices.addresses, bridge, address, data.length);
    }
    if (hadAddress) await ensureRoute(data);
    await check(data);
  },

  async undo(data) {
    const link = await findLink(data.bridge);
    if (!link) return undefined;
    if (!isOurs(link, data)) return `device ${data.bridge} is no longer the one that ufan made: left alone`;
    if (data.before === undefined || link.alias === OWN_ALIAS) await deleteLink(data.bridge);
    else await giveBack(data, data.before);
    return undefined;
  },
};

/**
 * The device that has the bridge's name, undefined where the name is free. Throws FanError in-use where it is neither
 * ours nor a bridge that can be the fan's. Changes nothing.
 */
export function requireUsable(data: BridgeData, devices: Devices): Link | undefined {
  const link = linkNamed(devices.links, data.bridge);
  if (!link || isOurs(link, data)) return link;
  const { bridge, gateway, length } = data;
  if (link.kind !== 'bridge') {
    throw new FanError(
      'in-use',
      `a device ${bridge} exists and is not ours: remove it (ip link delete dev ${bridge}) ` +
        'or choose another name with "bridge NAME"',
    );
  }
  const fitting = addressesOf(data);
  const other = addressesOn(bridge, devices).find((a) => a.length !== length || !fitting.includes(a.address));
  if (!other) return link;
  throw new FanError(
    'in-use',
    `bridge ${bridge} is there with address ${formatAddress(other.address)}/${other.length}, and the fan's is ` +
      `${gateway}/${length}: give it that (of dockerd: --bip ${gateway}/${length}) ` +
      'or choose another name with "bridge NAME"',
  );
}

/** As it was before `up`, with what is plugged into it. */
async function giveBack(data: BridgeData, before: NonNullable<BridgeData['before']>): Promise<void> {
  const { bridge, length } = data;
  const has = addressesOn(bridge, await readDevices()).map(({ address }) => formatAddress(address));
  const added = addressesOf(data).map((address) => formatAddress(address));
  for (const address of added.filter((one) => has.includes(one) && !before.addresses.includes(one))) {
    await run('ip', ['address', 'delete', `${address}/${length}`, 'dev', bridge]);
  }
  const settings = ['alias', before.alias, 'address', before.hardwareAddress, 'mtu', String(before.mtu)];
  await run('ip', ['link', 'set', 'dev', bridge, ...settings, before.isUp ? 'up' : 'down']);
}

/** Locally administered (02), then "fa", then the gateway address: unique in the overlay. */
export function macOf(gateway: string): string {
  const octets = formatAddress(parseAddress(gateway)).split('.').map(Number);
  return ['02', 'fa', ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':');
}

/** By its alias, or by the MAC where we were stopped between making it and naming it; or adopted. */
function isOurs(link: Link, data: BridgeData): boolean {
  const isUnnamed = link.alias === '' && link.hardwareAddress === macOf(data.gateway);
  return link.kind === 'bridge' && (link.alias === OWN_ALIAS || isUnnamed || data.before !== undefined);
}

function addressesOn(bridge: string, { addresses }: Devices): DeviceAddress[] {
  return addresses.filter(({ device }) => device === bridge);
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
  const devices = await readDevices();
  const link = linkNamed(devices.links, data.bridge);
  const addresses = addressesOn(data.bridge, devices).map((a) => a.address);
  const missing = addressesOf(data).filter((address) => !addresses.includes(address));
  if (link?.mtu === data.mtu && link.flags.includes('UP') && missing.length === 0) return;
  throw new FanError(
    'step-failed',
    `${data.bridge} is not as it was set: MTU ${link?.mtu}, ${link?.flags.includes('UP') ? 'up' : 'down'}` +
      missing.map((address) => `, without ${formatAddress(address)}`).join(''),
  );
}
