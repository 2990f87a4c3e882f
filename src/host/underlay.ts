/**
 * Which address, device and MTU the operator's underlay ("172.30.0.28/16", "172.30.0.0/16", "eth0/16", "default/16")
 * means on this host, now. Reads only.
 *
 * A device's address is the one whose own network is as wide as the underlay, as the kernel would choose it for
 * that network; where several are, the operator must say which: a wrong guess is a slice that belongs to nobody. A
 * network means the address that this host has in it, whatever its device, so one line serves every host.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { contains, formatPrefix, prefixOf } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import type { UnderlaySpec } from '../config/underlay.js';
import { type DeviceAddress, type Devices, type Link, requireLink } from './links.js';
import { defaultRouteDevice, routeDevice } from './routes.js';

/** A tunnel that leaves a container less than the least IPv4 MTU (RFC 791) is of no use. */
export const LEAST_UNDERLAY_MTU = 576;

export interface ResolvedUnderlay {
  /** This host's underlay address, u32. */
  readonly address: number;
  /** Width of the underlay network, as the operator said. */
  readonly length: number;
  /** The device by which outer packets leave. */
  readonly device: string;
  /** Of that device, bytes. */
  readonly mtu: number;
}

/** Throws FanError bad-underlay, each with what to do about it. */
export async function resolveUnderlay(spec: UnderlaySpec, devices: Devices): Promise<ResolvedUnderlay> {
  const { address, link } = await locate(spec, devices);
  const carrier = carriesNothing(link) ? await egressOf(address, spec.length, link, devices) : link;
  if (!carrier.flags.includes('UP')) {
    throw new FanError(
      'bad-underlay',
      `underlay device ${carrier.name} is down: ip link set dev ${carrier.name} up`,
    );
  }
  return { address, length: spec.length, device: carrier.name, mtu: carrier.mtu };
}

/**
 * The address of `device` that fits an underlay of `length` bits, of `addresses`, the device's own: the nearest
 * in width, a /32 (a virtual address) only where there is nothing else. Throws FanError bad-underlay.
 */
export function chooseAddress(addresses: readonly DeviceAddress[], device: string, length: number): number {
  const global = addresses.filter((a) => a.scope === 'global');
  const networks = global.filter((a) => a.length < 32 || a.length === length);
  const pool = networks.length > 0 ? networks : global;
  const nearest = Math.min(...pool.map((a) => Math.abs(a.length - length)));
  const fitting = pool.filter((a) => Math.abs(a.length - length) === nearest);
  const [first] = fitting;
  if (!first) {
    throw new FanError(
      'bad-underlay',
      `device ${device} has no IPv4 address: give it one, or name another device`,
    );
  }
  if (fitting.length > 1) {
    const list = fitting.map((a) => formatAddress(a.address)).join(', ');
    throw new FanError(
      'bad-underlay',
      `device ${device} has several addresses that fit /${length} equally: ${list}; ` +
        `name the one that is meant, such as ${formatAddress(first.address)}/${length}`,
    );
  }
  return first.address;
}

/**
 * The address of this host in the network of `length` bits that `network` is the first address of. Those of lo don't
 * count, nor /32 and secondary ones where a primary one is there: virtual addresses come and go. Throws FanError
 * bad-underlay.
 */
export function chooseInNetwork(
  all: readonly DeviceAddress[],
  network: number,
  length: number,
  isLoopback: (device: string) => boolean,
): DeviceAddress {
  const name = formatPrefix({ base: network, length });
  const here = all.filter((a) => a.scope === 'global' && !isLoopback(a.device));
  const inside = here.filter((a) => contains({ base: network, length }, a.address));
  const primary = inside.filter((a) => a.length < 32 && !a.isSecondary);
  const pool = primary.length > 0 ? primary : inside;
  const fitting = pool.filter((a, i) => pool.findIndex((b) => b.address === a.address) === i);
  const [first] = fitting;
  if (!first) {
    throw new FanError(
      'bad-underlay',
      `this host has no address in ${name}; it has ${listed(here)}: name the network of one, or a device`,
    );
  }
  if (fitting.length > 1) {
    throw new FanError(
      'bad-underlay',
      `this host has several addresses in ${name}: ${listed(fitting)}; ` +
        `name the one that is meant, such as ${formatAddress(first.address)}/${length}`,
    );
  }
  return first;
}

async function locate(spec: UnderlaySpec, devices: Devices): Promise<{ address: number; link: Link }> {
  const { links, addresses } = devices;
  if (spec.kind === 'address') {
    return { address: spec.address, link: holderOf(spec.address, devices) };
  }
  if (spec.kind === 'network') {
    const isLoopback = (device: string): boolean =>
      links.some(({ name, flags }) => name === device && flags.includes('LOOPBACK'));
    const { address } = chooseInNetwork(addresses, spec.address, spec.length, isLoopback);
    return { address, link: holderOf(address, devices) };
  }
  const link = requireLink(links, spec.kind === 'device' ? spec.device : await defaultRouteDevice());
  const own = addresses.filter((a) => a.device === link.name);
  return { address: chooseAddress(own, link.name, spec.length), link };
}

function holderOf(address: number, { links, addresses }: Devices): Link {
  const names = addresses.filter((a) => a.address === address).map((a) => a.device);
  const holders = links.filter((link) => names.includes(link.name));
  // An address on a real device beside the loopback (direct server return) is meant on the real one.
  const link = holders.find((candidate) => !carriesNothing(candidate)) ?? holders[0];
  if (link) return link;
  const here = listed(addresses.filter((a) => a.scope === 'global'));
  throw new FanError(
    'bad-underlay',
    `${formatAddress(address)} is no address of this host; it has ${here}: name one of these`,
  );
}

function listed(addresses: readonly DeviceAddress[]): string {
  return addresses.map((a) => `${formatAddress(a.address)} (${a.device})`).join(', ') || 'none';
}

/** Devices that hold addresses but send nothing anywhere. */
export function carriesNothing(link: Link): boolean {
  return link.flags.includes('LOOPBACK') || link.kind === 'dummy';
}

/**
 * The device by which packets to the underlay address come in: `device`; undefined where the address is on one that carries
 * nothing, so that any may lead to it.
 */
export function arrivalDevice(
  address: number,
  device: string,
  { links, addresses }: Devices,
): string | undefined {
  const holders = addresses.filter((a) => a.address === address).map((a) => a.device);
  const holding = links.filter(({ name }) => holders.includes(name));
  return holding.length > 0 && holding.every(carriesNothing) ? undefined : device;
}

/** The device by which this host reaches the others of the underlay. */
async function egressOf(address: number, length: number, holder: Link, { links }: Devices): Promise<Link> {
  const device = await routeDevice(neighbourOf(address, length), address);
  const link = device === undefined ? undefined : requireLink(links, device);
  if (link && !carriesNothing(link)) return link;
  throw new FanError(
    'bad-underlay',
    `${formatAddress(address)} is on ${holder.name}, and no route leads from there to ` +
      `${formatPrefix(prefixOf(address, length))}: add one, or name an address of a device`,
  );
}

/** An address of the underlay that is not `address`: what a route look-up asks for. */
export function neighbourOf(address: number, length: number): number {
  const { base } = prefixOf(address, length);
  const first = length < 31 ? base + 1 : base;
  return first === address ? first + 1 : first;
}
