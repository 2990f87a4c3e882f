/**
 * The host's network devices and their IPv4 addresses, read from `ip -json` (never from text for people: names may
 * hold '@', '.' and the like), and the mark by which ufan knows the devices that it made.
 */
import { formatAddress, parseAddress } from '../addr/ipv4-address.js';
import { FanError } from '../base/error.js';
import { ipJson, run } from './run.js';

/** The alias that every bridge and TUN of ours carries: what tells them apart after the state file was lost. */
export const OWN_ALIAS = 'ufan';

export interface Link {
  readonly name: string;
  /** Its number in this network namespace. */
  readonly index: number;
  /** Of a veth: the number of its other end, in that end's namespace; 0 where the other end is in ours, or none. */
  readonly peerIndex: number;
  /** By which our namespace knows the other end's (ip-netns(8), "nsid"); −1 where it has no such number. */
  readonly peerNetnsId: number;
  readonly otherNames: readonly string[];
  /** As the kernel's IFF_*, without the prefix: UP, LOOPBACK, … */
  readonly flags: readonly string[];
  /** Whether the kernel sends by it (RFC 2863, ifOperStatus up): a moment after its carrier is there. */
  readonly isOperational: boolean;
  /** Bytes. */
  readonly mtu: number;
  readonly txQueueLength: number;
  /** Hardware address, "02:fa:…"; empty where it has none. */
  readonly hardwareAddress: string;
  readonly alias: string;
  /** "bridge", "tun", "ipip", …; empty for a physical device. */
  readonly kind: string;
  /** The attributes of its kind, as iproute2 prints them. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The bridge (or bond, VRF) that it is a port of; empty where none. */
  readonly master: string;
}

export interface DeviceAddress {
  readonly device: string;
  /** u32 in host order. */
  readonly address: number;
  readonly length: number;
  readonly scope: string;
  /** Of the same network as one before it on the device, and goes with that. */
  readonly isSecondary: boolean;
}

/** The host's devices at one moment: a question for both costs no more than for one. */
export interface Devices {
  readonly links: readonly Link[];
  /** All IPv4 addresses, as readAddresses has them. */
  readonly addresses: readonly DeviceAddress[];
}

interface LinkRow {
  ifname?: string;
  ifindex?: number;
  link_index?: number;
  link_netnsid?: number;
  altnames?: string[];
  flags?: string[];
  operstate?: string;
  mtu?: number;
  txqlen?: number;
  address?: string;
  ifalias?: string;
  master?: string;
  linkinfo?: { info_kind?: string; info_data?: Record<string, unknown> };
  addr_info?: { family?: string; local?: string; prefixlen?: number; scope?: string; secondary?: boolean }[];
}

export async function readLinks(): Promise<Link[]> {
  return parseLinks(await ipJson<LinkRow>(['-details', 'link', 'show']));
}

export async function readDevices(): Promise<Devices> {
  const rows = await ipJson<LinkRow>(['-details', 'address', 'show']);
  return { links: parseLinks(rows), addresses: parseAddresses(rows) };
}

/** Rows of `ip -json -details link show`. */
export function parseLinks(rows: readonly object[]): Link[] {
  return (rows as LinkRow[]).filter((row) => row.ifname !== undefined).map(toLink);
}

/** The device called `name`, an alternative name included. */
export async function findLink(name: string): Promise<Link | undefined> {
  return linkNamed(await readLinks(), name);
}

/** That of `links`. */
export function linkNamed(links: readonly Link[], name: string): Link | undefined {
  return links.find((link) => link.name === name) ?? links.find((link) => link.otherNames.includes(name));
}

/** As linkNamed; throws FanError bad-underlay where it does not exist. */
export function requireLink(links: readonly Link[], name: string): Link {
  const link = linkNamed(links, name);
  if (link) return link;
  throw new FanError('bad-underlay', `this host has no device ${name}: "ip link" lists those that it has`);
}

/** All IPv4 addresses, in the kernel's order: on each device the one that it prefers comes first. */
export async function readAddresses(): Promise<DeviceAddress[]> {
  return parseAddresses(await ipJson<LinkRow>(['-4', 'address', 'show']));
}

function parseAddresses(rows: readonly LinkRow[]): DeviceAddress[] {
  return rows.flatMap((row) =>
    (row.addr_info ?? [])
      .filter((info) => info.family === 'inet' && info.local !== undefined)
      .map((info) => ({
        device: row.ifname ?? '',
        address: parseAddress(info.local ?? ''),
        length: info.prefixlen ?? 32,
        scope: info.scope ?? 'global',
        isSecondary: info.secondary ?? false,
      })),
  );
}

/** Adds an address to a device unless it is among those that there are. */
export async function ensureAddress(
  addresses: readonly DeviceAddress[],
  device: string,
  address: number,
  length: number,
): Promise<void> {
  if (addresses.some((a) => a.device === device && a.address === address && a.length === length)) return;
  await run('ip', ['address', 'add', `${formatAddress(address)}/${length}`, 'dev', device]);
}

/** Names of the devices that ufan made, in this run or an earlier one. */
export function ownDevices(links: readonly Link[]): Set<string> {
  return new Set(links.filter((link) => link.alias === OWN_ALIAS).map((link) => link.name));
}

/** Makes devices ports of a bridge; returns those that are, without any that has gone meanwhile. */
export async function enslave(ports: readonly string[], bridge: string): Promise<string[]> {
  const taken: string[] = [];
  for (const port of ports) {
    try {
      await run('ip', ['link', 'set', 'dev', port, 'master', bridge]);
      taken.push(port);
    } catch (error) {
      if (await findLink(port)) throw error;
    }
  }
  return taken;
}

/** Deletes a device; one that has gone meanwhile is as good. */
export async function deleteLink(name: string): Promise<void> {
  try {
    await run('ip', ['link', 'delete', 'dev', name]);
  } catch (error) {
    if (await findLink(name)) throw error;
  }
}

function toLink(row: LinkRow): Link {
  return {
    name: row.ifname ?? '',
    index: row.ifindex ?? 0,
    peerIndex: row.link_index ?? 0,
    peerNetnsId: row.link_netnsid ?? -1,
    otherNames: row.altnames ?? [],
    flags: row.flags ?? [],
    isOperational: row.operstate === 'UP',
    mtu: row.mtu ?? 0,
    txQueueLength: row.txqlen ?? 0,
    hardwareAddress: row.address ?? '',
    alias: row.ifalias ?? '',
    kind: row.linkinfo?.info_kind ?? '',
    attributes: row.linkinfo?.info_data ?? {},
    master: row.master ?? '',
  };
}
