/**
 * The host's IPv4 routes, read from `ip -json route`.
 */
import { formatAddress, parseAddress } from '../addr/ipv4-address.js';
import { type Prefix, parsePrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import type { HostRoute } from '../fan/fan-conflicts.js';
import { ipJson } from './run.js';

interface RouteRow {
  dst?: string;
  dev?: string;
  type?: string;
  table?: string;
  protocol?: string;
  metric?: number;
  prefsrc?: string;
  nexthops?: { dev?: string }[];
}

/** A route of the main table, in the detail that the route step reads back. */
export interface MainRoute {
  readonly destination: Prefix;
  readonly device: string;
  /** Preferred source, u32; 0 where none is set. */
  readonly source: number;
}

/**
 * Every IPv4 route, but for those of the host's addresses and broadcasts; default routes included with length 0. One with several next hops comes once for each; one without a device (blackhole) has its type for a
 * device.
 */
export async function readRoutes(): Promise<HostRoute[]> {
  return parseRoutes(await ipJson<RouteRow>(['-4', 'route', 'show', 'table', 'all']));
}

/** Rows of `ip -json -4 route show table all`. */
export function parseRoutes(rows: readonly object[]): HostRoute[] {
  return (rows as RouteRow[])
    .filter((row) => row.dst !== undefined && !isOfAddress(row))
    .flatMap((row) =>
      devicesOf(row).map((device) => ({
        destination: parseDestination(row.dst ?? ''),
        device,
        ...(row.type === 'local' ? { isLocal: true } : {}),
      })),
    );
}

/** Whether the kernel made it for one address of the host; an address on lo makes one for its whole network. */
function isOfAddress({ table, type, protocol, dst = '' }: RouteRow): boolean {
  if (table !== 'local') return false;
  return type !== 'local' || (protocol === 'kernel' && !dst.includes('/'));
}

export async function readMainRoutes(): Promise<MainRoute[]> {
  const rows = await ipJson<RouteRow>(['-4', 'route', 'show', 'table', 'main']);
  return rows.flatMap((row) =>
    devicesOf(row).map((device) => ({
      destination: parseDestination(row.dst ?? 'default'),
      device,
      source: row.prefsrc === undefined ? 0 : parseAddress(row.prefsrc),
    })),
  );
}

/** The device of the default route with the lowest metric. Throws FanError bad-underlay where there is none. */
export async function defaultRouteDevice(): Promise<string> {
  const rows = await ipJson<RouteRow>(['-4', 'route', 'show', 'table', 'main', 'exact', 'default']);
  const [best] = rows
    .filter((row) => row.type === undefined || row.type === 'unicast')
    .sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  const device = best ? devicesOf(best)[0] : undefined;
  if (device !== undefined) return device;
  throw new FanError(
    'bad-underlay',
    'this host has no default route: name the underlay by its device or address, such as eth0/16',
  );
}

/**
 * The device by which packets to `destination` leave, or undefined where no route leads there. `source` must be an
 * address of the host, unless the packet is one to forward, that came in by the device `input`.
 */
export async function routeDevice(
  destination: number,
  source?: number,
  input?: string,
): Promise<string | undefined> {
  const from = source === undefined ? [] : ['from', formatAddress(source)];
  if (input !== undefined) from.push('iif', input);
  try {
    const [row] = await ipJson<RouteRow>(['-4', 'route', 'get', formatAddress(destination), ...from]);
    return row?.dev;
  } catch (error) {
    // "Network is unreachable" and its like; a missing program is another matter.
    if (error instanceof FanError && error.code === 'step-failed') return undefined;
    throw error;
  }
}

function devicesOf(row: RouteRow): string[] {
  if (row.nexthops) return row.nexthops.map((hop) => hop.dev ?? '');
  return [row.dev ?? row.type ?? ''];
}

function parseDestination(text: string): Prefix {
  if (text === 'default') return { base: 0, length: 0 };
  return parsePrefix(text.includes('/') ? text : `${text}/32`);
}
