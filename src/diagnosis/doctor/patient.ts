/**
 * The host as `fanctl doctor` sees it: what fand recorded, what fand says, and what the kernel has, each read once
 * however many checks ask. It must work without fand too, so the state file is what tells of the fans.
 */
import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { FanError } from '../../base/error.js';
import type {
  DaemonStatus,
  FanView,
  Offender,
  RepairReply,
  RepairRequest,
  RunPaths,
  Stats,
  UpRequest,
} from '../../control/protocol.js';
import { type FanRecord, StateStore } from '../../control/state-store.js';
import type { HostRoute } from '../../fan/fan-conflicts.js';
import { type FarEnd, readFarEnds } from '../../host/far-ends.js';
import { readFirewall } from '../../host/firewall/bases.js';
import { type Ruleset, readRuleset } from '../../host/firewall/nft.js';
import type { BaseChain } from '../../host/firewall/packet-verdict.js';
import { type DeviceAddress, type Devices, type Link, readDevices } from '../../host/links.js';
import { readNetstat } from '../../host/netstat.js';
import {
  type DestinationRule,
  parseDestinationRules,
  parseRefusingRules,
  type RefusingRule,
  readRules,
} from '../../host/policy-rules.js';
import { readRoutes } from '../../host/routes.js';

const OWN_NAMESPACE = '/proc/self/ns/net';

/** How long the counters are watched: a packet a second is seen. */
const WATCH_MS = 1100;

/** How long doctor waits for a change that is under way, such as an `up`: in the midst of one nothing is as it will be. */
const CHANGE_PATIENCE_MS = 10_000;
const CHANGE_POLL_MS = 100;

/** How often doctor looks whom to ask. */
const MEET_ATTEMPTS = 3;

/** fand, as far as doctor needs it. */
export interface Fand {
  /** Undefined where none runs. */
  status(): Promise<DaemonStatus | undefined>;
  fans(): Promise<FanView[]>;
  stats(): Promise<Stats>;
  offenders(): Promise<Offender[]>;
  repair(request: RepairRequest): Promise<RepairReply>;
  /** Starts one where none runs, and brings this fan up again with all that died with it. */
  revive(request: UpRequest): Promise<void>;
}

/** Counters at both ends of the watch. */
export interface Watched<T> {
  readonly before: T;
  readonly after: T;
}

export class Patient {
  readonly paths: RunPaths;
  readonly fand: Fand;
  /** Undefined where no fand runs. */
  readonly status: DaemonStatus | undefined;
  /** What fand did instead of answering; empty where none runs, or it answers. */
  readonly silence: string;
  /** As recorded, with the view that fand has of them where it runs. */
  readonly fans: readonly FanRecord[];
  /** How many fand says that it has. */
  readonly served: number;
  readonly #read = new Map<string, Promise<unknown>>();

  private constructor(
    paths: RunPaths,
    fand: Fand,
    status: DaemonStatus | undefined,
    silence: string,
    fans: readonly FanRecord[],
    served: number,
  ) {
    this.paths = paths;
    this.fand = fand;
    this.status = status;
    this.silence = silence;
    this.fans = fans;
    this.served = served;
  }

  /** Throws FanError where the state file is none, or may not be read. */
  static async meet(paths: RunPaths, fand: Fand, attempts = MEET_ATTEMPTS): Promise<Patient> {
    let silence = '';
    const status = await settled(fand).catch((error: unknown) => {
      if (!(error instanceof FanError && error.code === 'daemon')) throw error;
      silence = error.message;
      return undefined;
    });
    const { fans } = await new StateStore(paths.state).load();
    let views: FanView[];
    try {
      views = status ? await fand.fans() : [];
    } catch (error) {
      // It has left since, as it does with its last fan.
      if (attempts > 1 && error instanceof FanError && error.code === 'daemon') {
        return Patient.meet(paths, fand, attempts - 1);
      }
      throw error;
    }
    const recorded = fans.filter(({ complete }) => complete);
    for (const fan of recorded) {
      const view = views.find(({ bridge }) => bridge === fan.view.bridge);
      fan.view = view ?? { ...fan.view, state: 'dead' };
    }
    return new Patient(paths, fand, status, silence, recorded, views.length);
  }

  /** Whether fand serves another network namespace than this one. */
  get isElsewhere(): boolean {
    return this.status !== undefined && inodeOf(this.status.netns) !== inodeOf(readlinkSync(OWN_NAMESPACE));
  }

  /** What is recorded by now, also of fans that fand is bringing up; none where no fand runs. */
  async servedNow(): Promise<readonly FanRecord[]> {
    const { fans } = await new StateStore(this.paths.state).load();
    const isServed = await this.fand.status().then(
      (status) => status !== undefined,
      () => false,
    );
    return isServed ? fans : [];
  }

  /** What is found of each fan, one finding or several, each with the fan's bridge. */
  async eachFan<Found extends object>(
    examine: (fan: FanRecord) => Promise<Found | readonly Found[]>,
  ): Promise<(Found & { bridge: string })[]> {
    const found = this.fans.map(async (fan) => {
      const findings = [await examine(fan)].flat() as Found[];
      return findings.map((finding) => ({ ...finding, bridge: fan.plan.bridge }));
    });
    return (await Promise.all(found)).flat();
  }

  async links(): Promise<readonly Link[]> {
    return (await this.#devices()).links;
  }

  async link(name: string): Promise<Link | undefined> {
    return (await this.links()).find((link) => link.name === name);
  }

  async ports(bridge: string): Promise<Link[]> {
    return (await this.links()).filter(({ master }) => master === bridge);
  }

  /** The containers' ends of the ports of `bridge`, as far as they are found. */
  farEnds(bridge: string): Promise<FarEnd[]> {
    return this.#once(`far ends of ${bridge}`, async () => readFarEnds(await this.ports(bridge)));
  }

  async addresses(): Promise<readonly DeviceAddress[]> {
    return (await this.#devices()).addresses;
  }

  /** Whether the host still has the underlay address that the fan was brought up with, on a device that is up. */
  async hasUnderlay({ plan }: FanRecord): Promise<boolean> {
    const holders = (await this.addresses()).filter(({ address }) => address === plan.mapping.address);
    const link = await this.link(plan.underlayDevice);
    return holders.length > 0 && link !== undefined && link.flags.includes('UP');
  }

  routes(): Promise<HostRoute[]> {
    return this.#once('routes', readRoutes);
  }

  async destinationRules(): Promise<DestinationRule[]> {
    return parseDestinationRules(await this.#rules());
  }

  async refusingRules(): Promise<RefusingRule[]> {
    return parseRefusingRules(await this.#rules());
  }

  ruleset(): Promise<Ruleset> {
    return this.#once('ruleset', readRuleset);
  }

  firewall(): Promise<BaseChain[]> {
    return this.#once('firewall', async () => readFirewall(await this.ruleset()));
  }

  stats(): Promise<Watched<Stats>> {
    return this.#once('stats', () => watch(() => this.fand.stats()));
  }

  /** Packets that rp_filter dropped on this host since it started. */
  reversePathDrops(): Promise<Watched<number>> {
    return this.#once('rp-drops', () => watch(readReversePathDrops));
  }

  offenders(): Promise<Offender[]> {
    return this.#once('offenders', async () => {
      await this.stats();
      return this.fand.offenders();
    });
  }

  #devices(): Promise<Devices> {
    return this.#once('devices', readDevices);
  }

  #rules(): Promise<object[]> {
    return this.#once('rules', readRules);
  }

  #once<T>(what: string, read: () => Promise<T>): Promise<T> {
    const known = this.#read.get(what) ?? read();
    this.#read.set(what, known);
    return known as Promise<T>;
  }
}

/** fand's status once no change is under way, or when patience ends. */
async function settled(fand: Fand): Promise<DaemonStatus | undefined> {
  const deadline = performance.now() + CHANGE_PATIENCE_MS;
  for (;;) {
    const status = await fand.status();
    if (!status?.changing || performance.now() > deadline) return status;
    await sleep(CHANGE_POLL_MS);
  }
}

/** The number in "net:[4026531833]". */
function inodeOf(namespace: string): string {
  return namespace.replace(/\D/g, '');
}

async function watch<T>(read: () => Promise<T>): Promise<Watched<T>> {
  const before = await read();
  await sleep(WATCH_MS);
  return { before, after: await read() };
}

async function readReversePathDrops(): Promise<number> {
  return readNetstat('TcpExt', 'IPReversePathFilter');
}
