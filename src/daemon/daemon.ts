/**
 * One life of fand: takes the run directory, serves the control socket, and leaves.
 *
 * Or it goes on where another fand stops, which has started it for that (handover/).
 *
 * It leaves when its last fan is down; where it was told to, when no fan has come up for a while; by a signal; where
 * another fand has taken its run directory; and where a worker died. It does so between two requests and after the change
 * under way.
 */
import { readlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { Activity, DaemonStatus, HandoverReply, RunPaths } from '../control/protocol.js';
import {
  readDownRequest,
  readEndTraceRequest,
  readExplainRequest,
  readProbeRequest,
  readRepairRequest,
  readTraceRequest,
  readUpRequest,
} from '../control/requests.js';
import { RunDir } from '../control/run-dir.js';
import { type State, StateStore } from '../control/state-store.js';
import type { Fand } from '../diagnosis/doctor/doctor.js';
import { explain } from '../diagnosis/explain/explain.js';
import { probe } from '../diagnosis/probe/probe.js';
import { Responder } from '../diagnosis/probe/responder.js';
import { readActivity } from './activity.js';
import { FanManager } from './fan-manager.js';
import { Forwarding } from './forwarding.js';
import { type Estate, type Heritage, PROTOCOL } from './handover/heritage.js';
import type { Predecessor } from './handover/predecessor.js';
import { Successor } from './handover/successor.js';
import { Healer } from './healing/healer.js';
import { Health } from './healing/health.js';
import { PortMemory } from './healing/port-memory.js';
import { listenForMetrics, type MetricsAddress } from './metrics-port.js';
import { NameService } from './names/name-service.js';
import { ControlServer, type Routes, TextReply } from './server.js';
import type { ServiceManager } from './service-manager.js';
import { Tracing } from './tracing.js';

export interface DaemonOptions {
  readonly paths: RunPaths;
  readonly version: string;
  /** Remove the run directory with the last fan. */
  readonly removeRunDir: boolean;
  /** Threads that forward. */
  readonly workers: number;
  /** Answer the probes of peers. */
  readonly hasResponder: boolean;
  /** Leave where no fan has come up this long after the start; 0 = stay. */
  readonly leaveAfterMs: number;
  /** Where metrics are served beside the control socket. */
  readonly metrics: MetricsAddress | undefined;
  readonly service: ServiceManager;
}

/** How often we look for what nobody tells: all at once, as it costs more to wake up than to look. */
const WATCH_MS = 2000;
/** How often another fand may be found in it before we give way. */
const MOST_LOST = 5;
/** What a change under way is given when a signal ends us; the record says how far it came. */
const CHANGE_GRACE_MS = 3000;
const RETRY_MS = 1000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  readonly #runDir: RunDir;
  readonly #store: StateStore;
  readonly #state: State;
  readonly #forwarding: Forwarding;
  readonly #responder: Responder;
  readonly #names: NameService;
  readonly #manager: FanManager;
  readonly #tracing: Tracing;
  readonly #healer: Healer;
  readonly #server: ControlServer;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Whether a request has changed fans: without any then, nobody needs us. */
  #served = false;
  /** What only one of two fands can have is the other's. */
  #isTakingOver = false;
  #leaving = false;
  /** The next fand, while we hand over to it. */
  #successor: Successor | undefined;
  #isHandingOver = false;
  #metricsServer: Server | undefined;
  #lost = 0;

  /** Resolves once it answers. Throws Locked, or another FanError; then nothing is left of it but its log. */
  static async start(options: DaemonOptions, log: Logger): Promise<Daemon> {
    const runDir = await RunDir.take(options.paths);
    try {
      const store = new StateStore(options.paths.state);
      const state = await store.load();
      state.removeRunDir ||= options.removeRunDir;
      const daemon = new Daemon(options, runDir, store, state, log);
      await daemon.#serveMetrics();
      await daemon.#server.listen();
      daemon.#watch();
      return daemon;
    } catch (error) {
      await runDir.release([options.paths.socket], false);
      throw error;
    }
  }

  /**
   * Goes on where `predecessor` stops. Resolves once we forward and answer. Throws FanError; then it goes on, and the
   * process is to end as it is.
   */
  static async takeOver(
    options: DaemonOptions,
    { lock, estate }: Heritage,
    predecessor: Predecessor,
    log: Logger,
  ): Promise<Daemon> {
    const runDir = await RunDir.inherit(options.paths, lock);
    const store = new StateStore(options.paths.state);
    const daemon = new Daemon(options, runDir, store, await store.load(), log);
    await daemon.#takeOver(estate, predecessor);
    return daemon;
  }

  private constructor(options: DaemonOptions, runDir: RunDir, store: StateStore, state: State, log: Logger) {
    this.#options = options;
    this.#runDir = runDir;
    this.#store = store;
    this.#state = state;
    this.#log = log;
    this.#forwarding = new Forwarding(options.workers, options.paths.dir, log, {
      onDeath: (cause) => {
        log.fatal({ err: cause }, 'a forwarding worker died: fans are dead until the next "fanctl up"');
        void this.#leave(true, 1);
      },
      onLost: (fan, message) => void this.#manager.lost(fan, message),
    });
    this.#responder = new Responder(
      {
        isOn: options.hasResponder,
        version: options.version,
        readLore: () => this.#forwarding.lore(),
      },
      log,
    );
    this.#forwarding.onProbe = (fan, sender, packet) => this.#responder.onProbe(fan, sender, packet);
    this.#names = new NameService(async () => (await this.#forwarding.lore()).peers, log);
    this.#forwarding.onConfigured = async (fans) => {
      if (this.#isTakingOver) return;
      await this.#responder.configure(fans);
      await this.#names.configure(fans);
    };
    const watch = { ports: new PortMemory(), health: new Health(log) };
    this.#manager = new FanManager(state, store, this.#forwarding, watch, options.paths, log);
    this.#healer = new Healer(this.#manager, watch, options.paths, this.#asFand(), log);
    this.#tracing = new Tracing(this.#forwarding, () => this.#manager.records, log);
    const onIdle = (): void => this.#leaveIfEmpty();
    this.#server = new ControlServer(options.paths.socket, this.#routes(), onIdle, log);
  }

  /** Brings up what a fand before this one left behind. Throws FanError; then fand no longer answers. */
  async restore(): Promise<void> {
    try {
      await this.#manager.restore();
    } catch (error) {
      await this.#runDir.release([this.#options.paths.socket], false);
      throw error;
    }
  }

  async #takeOver(estate: Estate | null, predecessor: Predecessor): Promise<void> {
    this.#isTakingOver = true;
    if (estate) this.#forwarding.inherit(estate);
    await this.#manager.takeOver(Object.keys(estate?.fans ?? {}));
    const account = await predecessor.prepared();
    const beganNs = await this.#forwarding.begin(account);
    await this.#server.takePlace();
    await this.#runDir.announce();
    await predecessor.took(beganNs);
    this.#isTakingOver = false;
    this.#log.info(account ? 'fand goes on in place of another' : 'fand goes on in place of one that died');
    await this.#manager.save();
    await predecessor.gone();
    this.#forwarding.forgetOthers();
    await this.#listenBeside();
    this.#watch();
  }

  /** Gives all to another fand, which it starts, and leaves. Throws FanError; then everything goes on. */
  async #handOver(): Promise<HandoverReply> {
    if (process.pid === 1) {
      throw new FanError(
        'unsupported',
        'fand is process 1 here, and would take all others with it: restart the container',
      );
    }
    if (this.#isHandingOver) throw new FanError('in-use', 'another fand is just taking over');
    this.#isHandingOver = true;
    try {
      const reply = await this.#manager.handOver(() => this.#passOn());
      setImmediate(() => void this.#depart());
      return reply;
    } catch (error) {
      this.#isHandingOver = false;
      throw error;
    } finally {
      this.#successor = undefined;
    }
  }

  async #passOn(): Promise<HandoverReply> {
    const { version, workers, service } = this.#options;
    const estate = await this.#forwarding.lend();
    const heritage = { protocol: PROTOCOL, version, workers, lock: this.#runDir.lock, estate };
    const successor = await Successor.prepare(heritage, service.environment, (child) => {
      this.#successor = child;
    });
    let pausedMs: number | null;
    try {
      this.#responder.close();
      await this.#names.configure([]);
      this.#metricsServer?.close();
      this.#metricsServer?.closeAllConnections();
      pausedMs = await successor.begin(await this.#forwarding.pause());
    } catch (error) {
      await successor.end();
      await this.#goOn();
      throw error;
    }
    service.handedOver(successor.pid);
    this.#log.info(`fand (pid ${successor.pid}) goes on in place of this one`);
    return { pid: successor.pid, pausedMs };
  }

  /** After a hand-over that failed. */
  async #goOn(): Promise<void> {
    await this.#forwarding.begin();
    await this.#runDir.announce();
    if (!this.#server.isReachable) await this.#server.listen();
    await this.#listenBeside();
  }

  /** At what only one of two fands can have. A port that another program took meanwhile is done without. */
  async #listenBeside(): Promise<void> {
    const up = this.#manager.records.filter(({ view }) => view.state === 'up');
    await this.#responder.configure(up);
    await this.#names.configure(up);
    await this.#serveMetrics().catch((error: unknown) => this.#log.error(errorText(error)));
  }

  async #serveMetrics(): Promise<void> {
    const { metrics } = this.#options;
    if (metrics) this.#metricsServer = await listenForMetrics(metrics, () => this.#metrics());
  }

  /** After a hand-over. */
  async #depart(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#rest();
    this.#server.refuse(false);
    await this.#tracing.leave();
    await this.#server.drain();
    process.exit(0);
  }

  #rest(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#healer.stop();
  }

  /** Ends it by a signal: the fans stay on the host. */
  stop(signal: string): Promise<void> {
    this.#log.info(`${signal}: the fans stay on the host, "fanctl up" restores them`);
    return this.#leave(false, 0);
  }

  #routes(): Routes {
    const status = this.#status();
    const { netns, version, workers } = status;
    this.#log.info({ runDir: this.#options.paths.dir, netns, version, workers }, 'fand runs');
    const manager = this.#manager;
    // A request that is refused may have been the one that a fand without fans was started for.
    const change = async <Reply>(make: () => Promise<Reply>): Promise<Reply> => {
      try {
        return await this.#responder.withoutEars(make);
      } finally {
        this.#served = true;
        this.#leaveIfEmpty();
      }
    };
    return {
      'GET /v1/status': () => ({ ...status, changing: manager.isBusy }),
      'GET /v1/fans': () => manager.views,
      'POST /v1/fans': (body) => change(() => manager.up(readUpRequest(body))),
      'DELETE /v1/fans': (body) => change(() => manager.down(readDownRequest(body))),
      'POST /v1/restore': () => change(() => manager.restore()),
      'POST /v1/handover': () => this.#handOver(),
      'GET /v1/stats': () => this.#forwarding.stats(manager.records),
      'POST /v1/explain': (body) => {
        return explain(readExplainRequest(body), manager.records, (host) => this.#forwarding.pathMtu(host));
      },
      'POST /v1/probe': (body) => probe(readProbeRequest(body), manager.records, this.#responder),
      'GET /v1/offenders': () => this.#forwarding.offenders(manager.records),
      'POST /v1/repair': (body) => {
        this.#healer.forgetAttempts();
        return this.#responder.withoutEars(() => manager.repair(readRepairRequest(body)));
      },
      'GET /v1/activity': () => this.#activity(),
      'GET /metrics': () => this.#metrics(),
      'POST /v1/trace': (body) => this.#tracing.open(readTraceRequest(body)),
      'DELETE /v1/trace': (body) => this.#tracing.end(readEndTraceRequest(body)),
    };
  }

  #status(): DaemonStatus {
    const { version, workers } = this.#options;
    return { pid: process.pid, version, netns: readlinkSync('/proc/self/ns/net'), workers };
  }

  /** Ourselves, as the checks of doctor ask for us: they mend nothing. */
  #asFand(): Fand {
    const manager = this.#manager;
    const mendsNothing = (): Promise<never> => Promise.reject(new FanError('daemon', 'checks mend nothing'));
    return {
      status: async () => this.#status(),
      fans: async () => manager.views,
      stats: () => this.#forwarding.stats(manager.records),
      offenders: async () => this.#forwarding.offenders(manager.records),
      repair: mendsNothing,
      revive: mendsNothing,
    };
  }

  #activity(): Promise<Activity> {
    return readActivity(this.#options.version, this.#manager, this.#forwarding);
  }

  /** The library is loaded by the first who asks: most hosts are asked by nobody. */
  async #metrics(): Promise<TextReply> {
    const { formatMetrics, METRICS_TYPE } = await import('./metrics.js');
    return new TextReply(METRICS_TYPE, await formatMetrics(await this.#activity()));
  }

  get #isBusy(): boolean {
    return this.#server.isBusy || this.#manager.isBusy;
  }

  #leaveIfEmpty(): void {
    if (this.#served && this.#manager.isEmpty && !this.#isBusy && !this.#isHandingOver)
      void this.#leave(true, 0);
  }

  #watch(): void {
    const look = (): void => {
      void this.#keepRunDir();
      void this.#healer.look();
    };
    this.#timers.push(setInterval(look, WATCH_MS));
    this.#healer.start();
    const { leaveAfterMs } = this.#options;
    if (leaveAfterMs > 0) this.#timers.push(setTimeout(() => this.#leaveIfIdle(), leaveAfterMs));
  }

  /** Whoever started us may have been killed before its request; what a fand before us recorded stays recorded. */
  #leaveIfIdle(): void {
    if (this.#manager.views.some(({ state }) => state !== 'dead')) return;
    if (this.#isBusy) {
      this.#timers.push(setTimeout(() => this.#leaveIfIdle(), RETRY_MS));
      return;
    }
    this.#log.info('no fan has come up: fand leaves');
    void this.#leave(true, 0);
  }

  /** Whether all is in the run directory by which we are found, now and after a crash. */
  get #isWhole(): boolean {
    const isRecorded = this.#store.isThere || this.#manager.isEmpty || this.#manager.isBusy;
    return this.#runDir.isOurs && this.#server.isReachable && isRecorded;
  }

  /** A run directory that somebody removed is made again, as no fanctl finds us otherwise; without a fan we leave. */
  async #keepRunDir(): Promise<void> {
    if (this.#leaving || this.#isHandingOver || this.#isWhole) return;
    const { dir } = this.#options.paths;
    if (this.#manager.isEmpty && !this.#manager.isBusy) {
      this.#log.warn(`${dir} was removed and there is no fan: fand leaves`);
      process.exit(0);
    }
    try {
      if (!this.#runDir.isOurs) await this.#runDir.retake();
      if (!this.#server.isReachable) await this.#server.listen();
      await this.#manager.save();
      this.#lost = 0;
      this.#log.warn(`files of ${dir} were removed: they are made again`);
    } catch (error) {
      this.#lost += 1;
      this.#log.error(`${dir} was removed and can't be made again: ${errorText(error)}`);
      if (this.#lost < MOST_LOST) return;
      this.#log.fatal('nobody can reach this fand any more: it leaves, its fans stay on the host');
      process.exit(1);
    }
  }

  /** `mayClean`: where nothing is left on the host, no file is either. Ends the process with `status`. */
  async #leave(mayClean: boolean, status: number): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    // Of two there would be one that nobody has told to end.
    this.#successor?.kill();
    this.#rest();
    this.#server.refuse();
    await Promise.race([this.#manager.settled(), sleep(CHANGE_GRACE_MS)]);
    await this.#server.drain();
    await this.#tracing.leave();
    this.#responder.close();
    this.#names.close();
    await this.#forwarding.stop();
    const { socket, log } = this.#options.paths;
    const clean = mayClean && this.#manager.isEmpty;
    if (clean) await this.#store.remove();
    await this.#runDir.release(clean ? [socket, log] : [socket], clean && this.#state.removeRunDir);
    process.exit(status);
  }
}
