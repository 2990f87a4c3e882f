/**
 * Keeps the fans as `up` made them, and knows what is wrong with them:
 *
 *   1. the kernel says that something has changed (host-notices.ts), or a process of ours has ended
 *   2. once that has settled (pace.ts), the checks of `fanctl doctor` look at the host
 *   3. what is ours to put back (cure.ts) is, as a change of fan-manager.ts between any others, and they look again
 *   4. what is left is what `show` calls degraded (health.ts)
 */
import { errorText } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { isAlive } from '../../control/process-end.js';
import type { RunPaths } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import { findTroubles, type Troubles } from '../../diagnosis/doctor/doctor.js';
import type { Fand } from '../../diagnosis/doctor/patient.js';
import { legacyListing } from '../../host/firewall/legacy.js';
import { type DhcpData, findServer } from '../../host/steps/dhcp-step.js';
import { askAll } from '../../io/netlink/ask.js';
import { HostNotices, type Notice } from '../../io/netlink/host-notices.js';
import { decodeLinkRole, encodeGetLinks, NETLINK_ROUTE } from '../../io/netlink/rtnetlink.js';
import { Attempts } from './attempts.js';
import { readCost } from './cost.js';
import { type Cure, curesFor } from './cure.js';
import type { Health } from './health.js';
import { LegacyWatch } from './legacy-watch.js';
import { Pace, QUIET_MS } from './pace.js';
import type { PortMemory } from './port-memory.js';
import { Relevance } from './relevance.js';

/** What the kernel says is heard at once, but at most so often. */
const LISTEN_MS = 250;
/** As if it had said something, once in so long. */
const SAID_MS = 30_000;
/** What those say of whom fan-manager.ts follows by itself. */
const FOLLOWED: readonly Notice['of'][] = ['link', 'firewall', 'traffic-control', 'anything'];
/** After a cure it is looked again, and what that shows may need another. */
const ROUNDS = 4;

/** The fans, as fan-manager.ts has them. */
export interface HealedFans {
  readonly records: readonly FanRecord[];
  readonly isBusy: boolean;
  readonly changes: number;
  isLost(fan: FanRecord): boolean;
  followSilent(): Promise<void>;
  followUnderlay(): Promise<void>;
  followDevices(): Promise<void>;
  followPorts(): Promise<void>;
  heal(cure: Cure): Promise<string[]>;
}

export class Healer {
  readonly #fans: HealedFans;
  readonly #paths: RunPaths;
  readonly #fand: Fand;
  readonly #health: Health;
  readonly #ports: PortMemory;
  readonly #log: Logger;
  readonly #attempts = new Attempts();
  readonly #relevance = new Relevance();
  readonly #legacy = new LegacyWatch(legacyListing);
  readonly #pace = new Pace(performance.now());
  readonly #notices: HostNotices;
  #soon: NodeJS.Timeout | undefined;
  #listening: NodeJS.Timeout | undefined;
  #isExamining = false;
  #isStopped = false;
  /** Ports may have come to, or left, a bridge. */
  #portsChanged = false;
  #isFollowDue = true;
  #followedMs = performance.now();
  #seenChanges = 0;
  /** Bridge → pid of its dnsmasq, as last found. */
  readonly #servers = new Map<string, number>();

  /** `fand`: ourselves, as doctor asks for it. Throws an Error with {code, errno, syscall} where the kernel tells nothing. */
  constructor(
    fans: HealedFans,
    watch: { readonly ports: PortMemory; readonly health: Health },
    paths: RunPaths,
    fand: Fand,
    log: Logger,
  ) {
    this.#fans = fans;
    this.#ports = watch.ports;
    this.#health = watch.health;
    this.#paths = paths;
    this.#fand = fand;
    this.#log = log;
    this.#notices = HostNotices.open();
    this.#readLinks();
    this.#ports.follow(() => this.#listen(performance.now()));
  }

  start(): void {
    this.#hearNext();
  }

  /** Every two seconds or so: looks at what the kernel says nothing of, and at what we have changed ourselves. */
  async look(): Promise<void> {
    await this.#follow(performance.now());
    this.#tick(performance.now());
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#soon);
    clearTimeout(this.#listening);
    this.#ports.follow(() => {});
    this.#notices.close();
  }

  /** An operator has asked for repairs: what was left is tried again. */
  forgetAttempts(): void {
    this.#attempts.forget();
  }

  #hearNext(): void {
    this.#notices.whenSaid(() => {
      this.#tick(performance.now());
      // Each of its sockets may have had something.
      clearTimeout(this.#listening);
      this.#listening = setTimeout(() => this.#hearNext(), LISTEN_MS);
    });
  }

  /** Sooner than by the clock where something is to be looked at. */
  #tick(nowMs: number): void {
    if (this.#isStopped) return;
    this.#take(nowMs);
    clearTimeout(this.#soon);
    if (this.#pace.isPending && !this.#isExamining)
      this.#soon = setTimeout(() => this.#tick(performance.now()), QUIET_MS);
  }

  #listen(nowMs: number): void {
    try {
      for (const notice of this.#notices.take()) this.#note(notice, nowMs);
      if (this.#portsChanged) this.#followPorts();
    } catch (error) {
      this.#log.error(`what the kernel says can't be read, healing waits: ${errorText(error)}`);
    }
  }

  #take(nowMs: number): void {
    this.#listen(nowMs);
    if (this.#fans.changes !== this.#seenChanges) this.#pace.note(nowMs);
    this.#seenChanges = this.#fans.changes;
    if (this.#fans.records.length === 0 || this.#fans.isBusy || this.#isExamining) return;
    const due = this.#pace.due(nowMs);
    if (due) void this.#examine(due);
    else void this.#lookForSilent(nowMs).catch((error) => this.#log.error({ err: error }, 'healing'));
  }

  /** Also where they heal nothing. */
  async #follow(nowMs: number): Promise<void> {
    if (this.#fans.isBusy) return;
    const isDue = this.#isFollowDue || nowMs - this.#followedMs >= SAID_MS;
    if (isDue) this.#followedMs = nowMs;
    this.#isFollowDue = false;
    try {
      await this.#fans.followSilent();
      if (isDue) await this.#fans.followUnderlay();
    } catch (error) {
      this.#isFollowDue = true;
      this.#log.error({ err: error }, 'the fans could not follow their underlay: tried again');
    }
  }

  #note(notice: Notice, nowMs: number): void {
    if (notice.of === 'link') this.#ports.note(notice.link, notice.isGone, nowMs);
    if (notice.of === 'link' || notice.of === 'anything') this.#portsChanged = true;
    if (notice.of === 'anything') this.#readLinks();
    if (FOLLOWED.includes(notice.of)) this.#isFollowDue = true;
    if (this.#relevance.concerns(notice, this.#fans.records)) this.#pace.note(nowMs);
  }

  #followPorts(): void {
    this.#portsChanged = false;
    this.#fans.followPorts().catch((error) => {
      this.#log.error(`the ports of isolated bridges can't be followed: ${errorText(error)}`);
    });
  }

  #readLinks(): void {
    const nowMs = performance.now();
    askAll(NETLINK_ROUTE, encodeGetLinks(), (message) => {
      const link = decodeLinkRole(message);
      if (!link) return;
      this.#ports.note(link, false, nowMs);
      this.#relevance.learn(link);
    });
  }

  /** What ends or changes without a word of the kernel's. */
  async #lookForSilent(nowMs: number): Promise<void> {
    const steps = this.#fans.records.flatMap((fan) => fan.steps.filter(({ kind }) => kind === 'dhcp'));
    for (const { data } of steps) await this.#lookForServer(data as unknown as DhcpData, nowMs);
    if (await this.#legacy.hasChanged(nowMs)) this.#pace.note(nowMs);
  }

  /** Once its dnsmasq was found, whether that process is there is all that is asked. */
  async #lookForServer(data: DhcpData, nowMs: number): Promise<void> {
    const known = this.#servers.get(data.bridge);
    if (known !== undefined && (await isAlive(known))) return;
    const server = await findServer(data);
    if (server) this.#servers.set(data.bridge, server.pid);
    else {
      this.#servers.delete(data.bridge);
      this.#pace.note(nowMs);
    }
  }

  async #examine(kind: 'prompt' | 'thorough'): Promise<void> {
    this.#isExamining = true;
    this.#pace.begin();
    const before = readCost();
    let healed = 0;
    try {
      await this.#fans.followDevices();
      for (; healed < ROUNDS; healed++) {
        if (!(await this.#look(kind === 'thorough'))) break;
      }
    } catch (error) {
      this.#log.error(`the host could not be examined: ${errorText(error)}`);
    } finally {
      const after = readCost();
      const isKnown = before !== undefined && after !== undefined;
      // What there was to heal was worth it; how often the same thing is put back has a limit of its own.
      const isCharged = isKnown && healed === 0;
      this.#pace.end(kind, isCharged ? after - before : 0, performance.now());
      this.#isExamining = false;
      // What was told meanwhile.
      this.#tick(performance.now());
    }
  }

  /** Whether something was put back, so that it is to be looked again. */
  async #look(isThorough: boolean): Promise<boolean> {
    const { changes } = this.#fans;
    const troubles = await findTroubles(this.#paths, this.#fand, isThorough);
    // Of a host that is being changed at this moment nothing is true for long.
    if (this.#fans.changes !== changes) return false;
    const cures = this.#cures(troubles);
    for (const cure of cures) await this.#apply(cure);
    if (cures.length > 0) return true;
    const bridges = this.#fans.records.map(({ plan }) => plan.bridge);
    this.#health.update(bridges, troubles, new Date());
    return false;
  }

  #cures(troubles: Troubles): Cure[] {
    const nowMs = performance.now();
    const records = this.#fans.records.filter(({ complete }) => complete);
    const asked = new Set<string>();
    const cures = curesFor(
      troubles,
      records,
      (fan) => this.#fans.isLost(fan),
      (of, check, thing) => {
        asked.add(thing);
        return this.#attempts.take(thing, nowMs, () => this.#tellLeft(of, check));
      },
    );
    this.#attempts.settle(asked);
    return cures;
  }

  #tellLeft(of: string, check: string): void {
    const what = `${of}: ${check} was put back three times within a minute, and is left now`;
    this.#log.error(`${what}; once nobody takes it away any more: fanctl doctor --fix`);
  }

  async #apply(cure: Cure): Promise<void> {
    const because = cure.because.join('; ');
    try {
      const done = await this.#fans.heal(cure);
      if (done.length > 0) this.#log.warn(`${cure.of} is healed: ${done.join(', ')}, because: ${because}`);
    } catch (error) {
      this.#log.error(`${cure.of} could not be healed: ${errorText(error)}; because: ${because}`);
    }
  }
}
