/**
 * From what fand counts to what happens a second: the difference of two activities over the time between them, by
 * fand's own clock. Pure; `fanctl top` prints it as lines (top-view.ts) or as JSON.
 */
import type { Activity, Counters, FanView, PathMtu } from '../../control/protocol.js';

/** Packets as on the wire, bits of inner packets. */
export interface Rate {
  packetsPerSecond: number;
  bitsPerSecond: number;
}

export interface FanRates extends Pick<FanView, 'bridge' | 'overlay' | 'underlay' | 'io' | 'state'> {
  /** To the underlay, and to the TUN. */
  out: Rate;
  in: Rate;
}

export interface DropRate {
  /** The bridge of its fan; "host" where it can be put down to none. */
  fan: string;
  reason: string;
  packetsPerSecond: number;
  /** Since the fan came up. */
  packets: number;
}

export interface PeerRates {
  peer: string;
  bridge: string;
  out: Rate;
  in: Rate;
}

/** One object of `fanctl top --json`. */
export interface Reading {
  /** What the rates are the mean of. */
  seconds: number;
  hostname: string;
  pid: number;
  version: string;
  uptimeSeconds: number;
  /** Of one CPU: with several threads it may pass 100. */
  cpuPercent: number;
  rssBytes: number;
  workers: { busyPercent: number }[];
  fans: FanRates[];
  /** Those that have ever dropped, most first. */
  drops: DropRate[];
  /** The busiest first. */
  peers: PeerRates[];
  pathMtus: PathMtu[];
}

/** Undefined where the two are of different fands, or of the same moment. */
export function readRates(before: Activity, now: Activity): Reading | undefined {
  const seconds = (now.uptimeMs - before.uptimeMs) / 1000;
  if (before.pid !== now.pid || before.startedMs !== now.startedMs || seconds <= 0) return undefined;
  return {
    seconds,
    hostname: now.hostname,
    pid: now.pid,
    version: now.version,
    uptimeSeconds: now.uptimeMs / 1000,
    cpuPercent: percentOf(now.cpuMs - before.cpuMs, seconds),
    rssBytes: now.rssBytes,
    workers: now.workers.map(({ cpuMs }, i) => ({
      busyPercent: percentOf(cpuMs - (before.workers[i]?.cpuMs ?? 0), seconds),
    })),
    fans: now.fans.map((fan) => ratesOfFan(fan, before, now, seconds)),
    drops: ratesOfDrops(before, now, seconds),
    peers: ratesOfPeers(before, now, seconds),
    pathMtus: now.pathMtus,
  };
}

function percentOf(cpuMs: number, seconds: number): number {
  return (Math.max(0, cpuMs) / 1000 / seconds) * 100;
}

/** What a counter grew by; one that fell has begun anew. */
function growthOf(before: number | undefined, now: number | undefined): number {
  const [from = 0, to = 0] = [before, now];
  return to >= from ? to - from : to;
}

function rateOf(packets: number, bytes: number, seconds: number): Rate {
  return { packetsPerSecond: packets / seconds, bitsPerSecond: (bytes * 8) / seconds };
}

function ratesOfFan(fan: FanView, before: Activity, now: Activity, seconds: number): FanRates {
  const { bridge, overlay, underlay, io, state } = fan;
  const [from, to] = [countersOf(before, bridge), countersOf(now, bridge)];
  const rate = (path: 'encap' | 'decap'): Rate =>
    rateOf(
      growthOf(from[`${path}-tx-packets`], to[`${path}-tx-packets`]),
      growthOf(from[`${path}-tx-bytes`], to[`${path}-tx-bytes`]),
      seconds,
    );
  return { bridge, overlay, underlay, io, state, out: rate('encap'), in: rate('decap') };
}

function countersOf({ stats }: Activity, bridge: string): Counters {
  return stats.fans.find((fan) => fan.bridge === bridge)?.counters ?? {};
}

function ratesOfDrops(before: Activity, now: Activity, seconds: number): DropRate[] {
  const sets: [string, Counters, Counters][] = now.stats.fans.map(({ bridge, counters }) => [
    bridge,
    countersOf(before, bridge),
    counters,
  ]);
  sets.push(['host', before.stats.host.counters, now.stats.host.counters]);
  return sets
    .flatMap(([fan, from, to]) =>
      Object.entries(to).flatMap(([name, packets]): DropRate[] => {
        const reason = /^drop-(.+)-packets$/.exec(name)?.[1];
        if (reason === undefined || packets === 0) return [];
        return [{ fan, reason, packetsPerSecond: growthOf(from[name], packets) / seconds, packets }];
      }),
    )
    .sort((a, b) => b.packetsPerSecond - a.packetsPerSecond || b.packets - a.packets);
}

function ratesOfPeers(before: Activity, now: Activity, seconds: number): PeerRates[] {
  const known = new Map(before.peers.map((peer) => [`${peer.bridge} ${peer.peer}`, peer]));
  const load = ({ out, in: into }: PeerRates): number => out.bitsPerSecond + into.bitsPerSecond;
  return now.peers
    .map(({ bridge, peer, txPackets, txBytes, rxPackets, rxBytes }) => {
      const from = known.get(`${bridge} ${peer}`);
      return {
        peer,
        bridge,
        out: rateOf(growthOf(from?.txPackets, txPackets), growthOf(from?.txBytes, txBytes), seconds),
        in: rateOf(growthOf(from?.rxPackets, rxPackets), growthOf(from?.rxBytes, rxBytes), seconds),
      };
    })
    .sort((a, b) => load(b) - load(a));
}
