/**
 * A lab whose hosts all have a fan, and what the end-to-end tests ask of it: counters by name, a condition awaited,
 * UDP echoed byte for byte.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { complaints } from '../../bench/lab/capture.js';
import { containerAddress, raiseFan } from '../../bench/lab/fan.js';
import type { Host } from '../../bench/lab/host.js';
import { createLab, type Lab, type LabOptions } from '../../bench/lab/lab.js';
import type { Namespace } from '../../bench/lab/namespace.js';
import { REPOSITORY } from '../../bench/lab/repository.js';
import { FandClient } from '../../src/control/client.js';
import { isAlive } from '../../src/control/process-end.js';
import { type Counters, type FanView, runPaths, type Stats } from '../../src/control/protocol.js';

/** The announcement's fan. */
export const FAN = ['250.0.0.0/8', 'eth0/16'];
/** Debian's: the one that has scapy. */
export const PYTHON = '/usr/bin/python3';
const UDP_ECHO = join(REPOSITORY, 'test/lab/udp-echo.py');
const ECHO_PORT = 9007;
/** TCP analysis guesses at the sender's state, and a tail probe is answered by D-SACK: no fault of a packet. */
export const NO_ANALYSIS = '!tcp.analysis.flags && !tcp.options.sack.dsack';
/** Of sendFile and echoUdp. */
export const RANDOM_BYTES = ['tcp.port==9000', `udp.port==${ECHO_PORT}`];

export class FanLab {
  readonly lab: Lab;
  /** Of each host, in order. */
  readonly fans: readonly FanView[];

  private constructor(lab: Lab, fans: readonly FanView[]) {
    this.lab = lab;
    this.fans = fans;
  }

  /** A lab where every host has run `fanctl up …words`; removed again where that fails. */
  static async open(options: LabOptions = {}, words: readonly string[] = FAN): Promise<FanLab> {
    const lab = await createLab(options);
    try {
      const raised = await Promise.all(lab.hosts.map((host) => raiseFan(host, words)));
      return new FanLab(
        lab,
        raised.map(({ view }) => view),
      );
    } catch (error) {
      lab.remove();
      throw error;
    }
  }

  host(index: number): Host {
    return this.lab.host(index);
  }

  /** The first container of a host unless told, and its overlay address. */
  container(host: number, index = 1) {
    return this.lab.host(host).container(index);
  }

  address(host: number, index = 1): string {
    return containerAddress(this.fan(host), index);
  }

  fan(host: number): FanView {
    const found = this.fans[host - 1];
    if (!found) throw new RangeError(`the lab has no host ${host}`);
    return found;
  }

  remove(): void {
    this.lab.remove();
  }
}

/** What `fanctl stats --json` prints, as fand answers it: a test asks often, and each fanctl is a Node that starts. */
export function readStats(host: Host): Promise<Stats> {
  return new FandClient(runPaths(host.dir)).stats();
}

/** The same once nothing moves any more: a worker counts what it has read before it counts what it has written. */
export async function readQuietStats(host: Host): Promise<Stats> {
  let last: Stats | undefined;
  const ask = async () => {
    const before = last;
    last = await readStats(host);
    return { isSame: isDeepStrictEqual(before, last), stats: last };
  };
  return (await until(ask, ({ isSame }) => isSame)).stats;
}

/** Counters of the host's fan on `bridge`, by default its first. */
export async function readCounters(host: Host, bridge?: string): Promise<Counters> {
  const { fans } = await readStats(host);
  const fan = bridge === undefined ? fans[0] : fans.find((one) => one.bridge === bridge);
  if (!fan) throw new Error(`${host.name} has no fan ${bridge ?? ''}`);
  return fan.counters;
}

/** Packets that came out of the host's first TUN to fand: with io bpf what the kernel sent by itself is not among them. */
export async function tunReads(host: Host): Promise<number> {
  const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'type', 'tun']);
  return (JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[])[0]!.stats64.tx.packets;
}

/** What grew, by how much. A worker counts a packet as sent after it has sent it: to the last one, ask until it is so. */
export function growth(before: Counters, after: Counters): Counters {
  const names = Object.keys(after).filter((name) => after[name] !== before[name]);
  return Object.fromEntries(names.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
}

export function fandPid(host: Host): number {
  return Number(readFileSync(join(host.dir, 'fand.pid'), 'utf8'));
}

/** Returns when it is gone: until then its socket takes connections, which break off. */
export async function killFand(host: Host): Promise<void> {
  const pid = fandPid(host);
  process.kill(pid, 'SIGKILL');
  await until(
    () => isAlive(pid),
    (alive) => !alive,
  );
}

/** Asks until `holds` is true of the answer, and returns it; fails with the last answer after `timeoutMs`. */
export async function until<T>(
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`not so after ${timeoutMs} ms: ${JSON.stringify(answer)}`);
    await sleep(20);
  }
}

/**
 * Sends one UDP datagram of each size (payload bytes) from `client` to `server` and expects every byte of it back.
 * Throws where one gets lost or differs. `df` is of both sides' datagrams; `auto` is what Linux does.
 */
export async function echoUdp(
  client: Namespace,
  server: Namespace,
  address: string,
  sizes: readonly number[],
  df: 'auto' | 'clear' = 'auto',
): Promise<void> {
  const echo = server.spawn([PYTHON, UDP_ECHO, df, 'serve', `${ECHO_PORT}`]);
  try {
    await echo.prints(/ready/);
    await client.exec([PYTHON, UDP_ECHO, df, 'send', address, `${ECHO_PORT}`, ...sizes.map(String)]);
  } finally {
    await echo.stop();
  }
}

/** What tshark finds wrong with any packet of a capture, or any that passes `filter`, a line each. */
export function faults(file: string, filter = 'frame'): Promise<string[]> {
  return complaints(file, `${NO_ANALYSIS} && (${filter})`, RANDOM_BYTES);
}
