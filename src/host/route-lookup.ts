/**
 * The way that the kernel would choose for one packet, now: route, next hop, and what is known of that neighbour
 * (`ip -json route get`, `ip -json neighbour`). Reads only.
 */
import { FanError } from '../base/error.js';
import { ipJson } from './run.js';

export interface Route {
  readonly device: string;
  /** The source that it leaves with. */
  readonly source: string;
  /** The router, or the destination itself where it is on the link. */
  readonly nextHop: string;
  readonly onLink: boolean;
  /** What the route says of its MTU, learnt by the kernel or set by hand; null where it says nothing. */
  readonly mtu: number | null;
}

export interface Neighbour {
  readonly address: string;
  /** As the kernel calls it: REACHABLE, STALE, FAILED, …; NONE where it has not been asked for yet. */
  readonly state: string;
  /** Hardware address, "02:fa:…"; null where it is not known. */
  readonly mac: string | null;
}

interface RouteRow {
  type?: string;
  dev?: string;
  gateway?: string;
  prefsrc?: string;
  metrics?: { mtu?: number }[];
}

interface NeighbourRow {
  dst?: string;
  lladdr?: string;
  state?: string[];
}

/** The route of a packet that this host sends from `source` to `destination`, or undefined where there is none. */
export async function lookUpRoute(destination: string, source: string): Promise<Route | undefined> {
  try {
    const [row] = await ipJson<RouteRow>(['-4', 'route', 'get', destination, 'from', source]);
    if (row?.dev === undefined) return undefined;
    return {
      device: row.dev,
      source: row.prefsrc ?? source,
      nextHop: row.gateway ?? destination,
      onLink: row.gateway === undefined,
      mtu: row.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu ?? null,
    };
  } catch (error) {
    // "Network is unreachable" and its like; a missing program is another matter.
    if (error instanceof FanError && error.code === 'step-failed') return undefined;
    throw error;
  }
}

export async function readNeighbour(address: string, device: string): Promise<Neighbour> {
  const rows = await ipJson<NeighbourRow>(['-4', 'neighbour', 'show', 'to', address, 'dev', device]);
  const row = rows.find(({ dst }) => dst === address);
  return { address, state: row?.state?.join(' ') ?? 'NONE', mac: row?.lladdr ?? null };
}
