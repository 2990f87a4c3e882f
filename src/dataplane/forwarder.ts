/**
 * The engine: one thread, one poll loop for both directions, a batch at a time. This is the whole of it:
 *
 *   encap   Tun.receive → EncapPath.process → RawSender.send or PacketSender.send → settle    (replies → Tun.send)
 *   decap   RawReceiver.receive or PacketReceiver.receive → DecapPath.process → Tun.send → settle
 *   vxlan   the same between Tap and UdpSender or UdpReceiver, by VxlanEncap and VxlanDecap
 *   errors  IcmpReceiver.receive → PathErrors.process → Tun.send
 */
import { DROP } from '../base/drop-reason.js';
import type { RxDevice } from '../io/devices/device.js';
import type { Envelopes } from '../io/devices/envelopes.js';
import { LocalPorts } from '../io/local-ports.js';
import { indexOf, isRouted } from '../io/netlink/host-facts.js';
import { HEADROOM, MAX_PACKET, PacketBatch } from '../io/packet-batch.js';
import type { Poller } from '../io/poller.js';
import { ALL, type Share } from '../io/receive-filter.js';
import { DATAGRAM_LEN } from '../wire/vxlan.js';
import { KernelPath } from './kernel/kernel-path.js';
import type { Inherited } from './ports/inherited.js';
import { BATCH, type FanPort, Ports, TOKEN, TX_BATCH } from './ports/ports.js';
import { type Counters, HOST_BLOCK } from './tables/counters.js';
import type { FanSpec } from './tables/fan-spec.js';
import { type FanEntry, ForwardingTable } from './tables/forwarding-table.js';
import { type PeerCounts, PeerTable } from './tables/peer-table.js';
import { receivedVxlan, type Site } from './tracing/shape.js';
import type { Tracer } from './tracing/tracer.js';
import { DecapPath } from './walks/decap-path.js';
import { EncapPath } from './walks/encap-path.js';
import { IcmpOrigin } from './walks/icmp-origin.js';
import { IcmpReplies } from './walks/icmp-replies.js';
import { PathErrors } from './walks/path-errors.js';
import { type PathMtuEntry, PathMtuTable } from './walks/path-mtu.js';
import { type OnProbe, ProbeTap } from './walks/probe-tap.js';
import { SENT_LATELY_MS, SentSizes } from './walks/sent-sizes.js';
import { FRAGMENT_ROOM, TooBig } from './walks/too-big.js';
import { VxlanDecap } from './walks/vxlan-decap.js';
import { VxlanEncap } from './walks/vxlan-encap.js';

/** A whole batch of the longest packets: their lengths are not known before they are read. */
const TUN_SLAB = BATCH * (HEADROOM + MAX_PACKET);
/** ICMP errors are small and rare. */
const ICMP_BATCH = 8;
/** Between two ticks. */
const TICK_MS = 1000;

/** What it has learnt of peers. */
export interface ForwarderState {
  peers: PeerCounts[];
  pathMtus: PathMtuEntry[];
}

export class Forwarder {
  readonly ports: Ports;
  readonly #counters: Counters;
  readonly #onLost: (fan: string, cause: unknown) => void;
  readonly #fromTun: PacketBatch;
  readonly #toUnderlay: PacketBatch;
  readonly #fromIcmp = PacketBatch.create(ICMP_BATCH, ICMP_BATCH * (HEADROOM + MAX_PACKET + 4096));
  readonly #replies: IcmpReplies;
  readonly #tooBig: TooBig;
  readonly #encap: EncapPath;
  readonly #decap: DecapPath;
  readonly #vxlanEncap: VxlanEncap;
  readonly #vxlanDecap: VxlanDecap;
  readonly #errors: PathErrors;
  readonly #pathMtu = new PathMtuTable();
  readonly #kernel = new KernelPath();
  readonly #peers = new PeerTable();
  readonly #sizes: SentSizes;
  readonly #localPorts = new LocalPorts();
  /** As #sizes knows them. */
  #sourcePorts: readonly number[] = [];
  /** Whether this worker ages what all share. */
  readonly #isFirst: boolean;
  #tickMs = 0;
  #agedMs = 0;
  #generation = 0;
  /** Undefined where nobody traces: the walks ask once a batch. */
  #tracer: Tracer | undefined;
  /** Of IP-in-IP, and of VXLAN; an index is that of the fan's port, and in #fans. */
  #table = new ForwardingTable([]);
  #vxlanTable = new ForwardingTable([]);
  #fans: readonly FanEntry[] = [];
  #outputs: readonly PacketBatch[] = [];
  /** What came in envelopes, and where it goes, by fan: in the slab of #fromTun. */
  readonly #opened: PacketBatch;
  #fromEnvelopes: readonly PacketBatch[] = [];

  /**
   * `onLost` is told when a fan's TUN breaks: somebody removed it. The other fans go on. `onProbe` gets the probes
   * that peers send. `share`: of the packets, where other workers have the rest, and write into the same `sizes`.
   * `inherited`: devices that another process serves until begin().
   */
  constructor(
    counters: Counters,
    poller: Poller,
    onLost: (fan: string, cause: unknown) => void,
    onProbe: OnProbe,
    share: Share = ALL,
    sizes = new SentSizes(),
    inherited?: Inherited,
  ) {
    this.#counters = counters;
    this.#onLost = onLost;
    this.ports = new Ports(poller, share, inherited);
    const slab = new Uint8Array(TUN_SLAB + FRAGMENT_ROOM);
    this.#fromTun = new PacketBatch(BATCH, slab.subarray(0, TUN_SLAB));
    this.#toUnderlay = new PacketBatch(TX_BATCH, slab);
    this.#opened = new PacketBatch(BATCH, this.#fromTun.slab);
    this.#replies = new IcmpReplies(counters, share.count);
    this.#tooBig = new TooBig(counters, this.#replies, slab, TUN_SLAB, share);
    this.#encap = new EncapPath(counters, this.#pathMtu, this.#tooBig, this.#table, this.#peers);
    const probes = new ProbeTap(onProbe);
    this.#decap = new DecapPath(counters, this.#table, this.#peers, probes);
    this.#vxlanEncap = new VxlanEncap(counters, this.#pathMtu, this.#replies, this.#vxlanTable, this.#peers);
    this.#vxlanDecap = new VxlanDecap(counters, this.#vxlanTable, this.#peers, probes);
    this.#sizes = sizes;
    this.#isFirst = share.index === 0;
    const parts = {
      counters,
      pathMtu: this.#pathMtu,
      replies: this.#replies,
      origin: new IcmpOrigin({ indexOf, isRouted }),
      speaks: this.#isFirst,
      largestSent: (address: number, peer: number) =>
        Math.max(sizes.largest(peer), this.#kernel.largestSent(address, peer)),
      isSentFrom: ({ index }: FanEntry, port: number, nowMs: number) =>
        sizes.isSentFrom(port) ||
        (this.ports.fans[index]!.io.mode !== 'raw' && this.#localPorts.includes(port, nowMs)),
    };
    this.#errors = new PathErrors(parts, this.#table, this.#vxlanTable);
  }

  /** Forwards for `specs` from now on; on failure as before. `generation` as in ToWorker. */
  configure(specs: readonly FanSpec[], generation: number): void {
    this.ports.configure(specs);
    // The counter block of a fan that is gone may be another's next.
    const isKept = ({ id }: FanSpec): boolean => specs.some((spec) => spec.id === id);
    if (!this.#fans.every(isKept)) this.#peers.clear();
    this.#outputs = this.ports.fans.map(({ toTun }) => toTun);
    const { sourcePorts } = this.ports.vxlan;
    this.#sizes.replacePorts(this.#sourcePorts, sourcePorts);
    this.#sourcePorts = sourcePorts;
    const { slab } = this.#fromTun;
    this.#fromEnvelopes = specs.map(() => new PacketBatch(BATCH, slab));
    this.#generation = generation;
    this.#use(specs);
  }

  /** `specs` are those that the ports are open for. */
  #use(specs: readonly FanSpec[]): void {
    const own = this.ports.addresses.all;
    const ofType = (isVxlan: boolean): FanSpec[] =>
      specs.filter(({ vxlan }) => (vxlan !== undefined) === isVxlan);
    this.#table = new ForwardingTable(ofType(false), own, specs);
    this.#vxlanTable = new ForwardingTable(ofType(true), own, specs);
    this.#fans = [...this.#table.fans, ...this.#vxlanTable.fans].sort((a, b) => a.index - b.index);
    this.#encap.configure(this.#table);
    this.#decap.configure(this.#table);
    this.#vxlanEncap.configure(this.#vxlanTable);
    this.#vxlanDecap.configure(this.#vxlanTable);
    this.#errors.configure(this.#table, this.#vxlanTable);
    this.#kernel.configure([this.#table, this.#vxlanTable], this.ports.fans, this.ports, this.#generation);
    this.ports.settle();
  }

  /** From the next batch on, `tracer` sees every packet. */
  trace(tracer: Tracer | undefined, generation: number): void {
    this.#generation = generation;
    this.#kernel.trace(tracer, generation);
    this.#tracer = tracer;
    this.#replies.tracer = tracer;
  }

  /** Nobody else serves these devices any more. `known`: what another forwarder had learnt of peers by then. */
  begin(known: ForwarderState, nowMs: number): void {
    this.ports.begin();
    this.#peers.add(known.peers);
    this.#pathMtu.add(known.pathMtus, nowMs);
    this.#kernel.setSmallestPath(this.#pathMtu.smallest);
  }

  /** What is known of peers. Allocates: for between two batches. */
  inspect(nowMs: number): ForwarderState {
    return { peers: this.#kernel.addPeers(this.#peers.read()), pathMtus: this.#pathMtu.entries(nowMs) };
  }

  /** Serves a device that poll found readable: one batch. Returns how many packets the underlay brought. */
  serve(token: number, nowMs: number): number {
    if (token >= TOKEN.vxlan) return this.#pullVxlan(token, nowMs);
    if (token === TOKEN.underlay || token >= TOKEN.ports) {
      const receiver = this.ports.underlay.readable(token);
      return receiver ? this.#pullUnderlay(receiver, nowMs) : 0;
    }
    if (token === TOKEN.icmp) this.#pullIcmp(nowMs);
    else if ((token >= TOKEN.chains && token < TOKEN.firstFan) || token >= TOKEN.firstBridge)
      this.#followHost(token);
    else if (token >= TOKEN.firstFan) this.#pullTun(token - TOKEN.firstFan, nowMs);
    return 0;
  }

  /** Lets what is known age, also where nothing is sent. Cheap: for every round of the poll loop. */
  tick(nowMs: number): void {
    if (nowMs - this.#tickMs < TICK_MS) return;
    this.#tickMs = nowMs;
    this.#pathMtu.expire(nowMs);
    this.#kernel.setSmallestPath(this.#pathMtu.smallest);
    if (!this.#isFirst || nowMs - this.#agedMs < SENT_LATELY_MS) return;
    this.#agedMs = nowMs;
    this.#sizes.age();
  }

  close(): void {
    this.ports.close();
  }

  #followHost(token: number): void {
    if (token === TOKEN.addresses) {
      this.#followAddresses();
      return;
    }
    if (token === TOKEN.chains) this.ports.chains?.takeNotifications();
    else if (token === TOKEN.policies) this.ports.policies?.takeNotifications();
    else this.ports.fans[token - TOKEN.firstBridge]?.programs?.decap?.exit?.takeNotifications();
    this.#kernel.followHost();
  }

  /** What came in by this moment is judged by what was known of it. */
  #followAddresses(): void {
    const { addresses, underlay } = this.ports;
    if (!addresses.takeNotifications()) return;
    underlay.refuse(addresses.all);
    this.#use(this.#fans);
  }

  #pullTun(index: number, nowMs: number): void {
    const fan = this.#fans[index];
    const port = this.ports.fans[index];
    if (fan === undefined || port === undefined) return;
    const rx = this.#fromTun;
    const tx = this.#toUnderlay;
    try {
      port.tun.receive(rx);
    } catch (error) {
      this.ports.ignore(port);
      this.#onLost(port.id, error);
      return;
    }
    if (port.envelopes) this.#pullEnvelopes(fan, port.envelopes, nowMs);
    const walk = fan.vxlan ? this.#vxlanEncap : this.#encap;
    const tracer = this.#tracer;
    tracer?.received();
    for (let taken = 0; taken < rx.count; ) {
      const from = taken;
      tx.count = 0;
      this.#tooBig.reuse();
      taken = walk.process(fan, rx, taken, tx, nowMs);
      tracer?.encapJudged(fan, rx, from, taken, tx);
      if (tx.count > 0) {
        this.#sizes.noteBatch(tx, fan.vxlan ? DATAGRAM_LEN : 0);
        walk.settle(fan, tx, port.underlay.sender.send(tx));
      }
      tracer?.encapSent(fan, rx, from, taken, tx);
    }
    this.#pushReplies(fan, port);
    this.#kernel.setSmallestPath(this.#pathMtu.smallest);
    this.#kernel.releaseEncap(fan, rx, nowMs);
    tracer?.flush();
  }

  #pullVxlan(token: number, nowMs: number): number {
    const site = this.ports.vxlan.readable(token);
    if (site === undefined) return 0;
    const rx = this.ports.vxlan.fromUnderlay;
    site.receiver?.receive(rx);
    this.#pushInner(rx, this.#outputs, nowMs, site);
    return rx.count;
  }

  /** What a program in the kernel has left of what came in. */
  #pullEnvelopes(fan: FanEntry, envelopes: Envelopes, nowMs: number): void {
    const opened = this.#opened;
    opened.count = 0;
    envelopes.takeOut(this.#fromTun, opened);
    if (opened.count === 0) return;
    const { address, vxlan } = fan;
    this.#pushInner(opened, this.#fromEnvelopes, nowMs, { address, udpPort: vxlan!.port });
  }

  #pullUnderlay(receiver: RxDevice, nowMs: number): number {
    const rx = this.ports.fromUnderlay;
    receiver.receive(rx);
    const lost = receiver.takeLost?.() ?? 0;
    if (lost !== 0) this.#counters.drop(HOST_BLOCK, DROP['receive-failed'], lost);
    this.#pushInner(rx, this.#outputs, nowMs);
    return rx.count;
  }

  /** What came in, over VXLAN at `site`; of `outputs`, one for each fan, those of its type share the slab. */
  #pushInner(rx: PacketBatch, outputs: readonly PacketBatch[], nowMs: number, site?: Site): void {
    const tracer = this.#tracer;
    tracer?.decapReceived(rx, site && receivedVxlan(site));
    for (const output of outputs) output.count = 0;
    if (site) this.#vxlanDecap.process(rx, site, outputs);
    else this.#decap.process(rx, outputs);
    tracer?.decapJudged();
    const walk = site ? this.#vxlanDecap : this.#decap;
    for (const fan of site ? this.#vxlanTable.fans : this.#table.fans) {
      const output = outputs[fan.index]!;
      if (output.count > 0) walk.settle(fan, output, this.ports.fans[fan.index]!.tun.send(output));
    }
    tracer?.decapWritten(rx, this.#fans, outputs);
    this.#kernel.releaseDecap(rx, nowMs);
    tracer?.flush();
  }

  #pullIcmp(nowMs: number): void {
    const rx = this.#fromIcmp;
    this.ports.icmp.receive(rx);
    const tracer = this.#tracer;
    tracer?.received();
    for (let i = 0; i < rx.count; i++) {
      const fan = this.#errors.process(rx, i, nowMs);
      tracer?.pathError(rx, i, this.#fans, fan !== undefined);
      if (fan) this.#pushReplies(fan, this.ports.fans[fan.index]!);
    }
    this.#kernel.setSmallestPath(this.#pathMtu.smallest);
    tracer?.flush();
  }

  #pushReplies(fan: FanEntry, port: FanPort): void {
    const { batch } = this.#replies;
    if (batch.count === 0) return;
    port.tun.send(batch);
    this.#tracer?.replied(fan, batch);
    batch.count = 0;
  }
}
