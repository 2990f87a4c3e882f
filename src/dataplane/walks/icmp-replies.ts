/**
 * ICMP errors that we originate toward containers, gathered in a small batch that the forwarder writes to the
 * fan's TUN. The source is the inner destination of the quoted packet: the kernel drops, silently, a packet that
 * arrives on a device with an address of its own as source.
 */
import { DROP } from '../../base/drop-reason.js';
import { SenderLimits } from '../../base/sender-limits.js';
import { HEADROOM, PacketBatch } from '../../io/packet-batch.js';
import { emitUnreachable, mayAnswerWithError } from '../../wire/icmpv4.js';
import { destination, source } from '../../wire/ipv4.js';
import { ETHERNET_LEN, writeAnswering } from '../../wire/vxlan.js';
import { COUNTER, type Counters } from '../tables/counters.js';
import type { FanEntry } from '../tables/forwarding-table.js';
import type { Tracer } from '../tracing/tracer.js';

const CAPACITY = 32;
/** Holds the headroom and an error of 576 bytes. */
const SLOT = 640;
/** For one container, and for all. */
const RATES = { perSecond: 200, burst: 50, allPerSecond: 1000, allBurst: 100 };

export class IcmpReplies {
  readonly batch = new PacketBatch(CAPACITY, new Uint8Array(CAPACITY * SLOT));
  readonly #counters: Counters;
  readonly #limits: SenderLimits;
  /** Is told of what the rate limit holds back. */
  tracer: Tracer | undefined;

  /** `workers` share the rate: one that is asked for all of the errors gives its part of them. */
  constructor(counters: Counters, workers = 1) {
    this.#counters = counters;
    this.#limits = new SenderLimits({
      perSecond: RATES.perSecond / workers,
      burst: RATES.burst / workers,
      allPerSecond: RATES.allPerSecond / workers,
      allBurst: RATES.allBurst / workers,
    });
  }

  /**
   * Appends "destination unreachable" with `code` about the inner packet at bytes[off, off+len); `mtu` is for code
   * 4 only. Nothing is sent about packets that may not be answered (RFC 1122 §3.2.2), nor past the rate limits: that
   * of the container that is told, so that it leaves the others theirs, and that of all.
   */
  add(
    fan: FanEntry,
    bytes: Uint8Array,
    off: number,
    len: number,
    code: number,
    mtu: number,
    nowMs: number,
  ): void {
    if (!mayAnswerWithError(bytes, off, len)) return;
    const to = source(bytes, off);
    if (this.batch.count === CAPACITY || !this.#limits.take(to, nowMs)) {
      this.holdBack(fan, bytes, off, len);
      return;
    }
    const at = this.batch.count++;
    const slot = at * SLOT + HEADROOM;
    const from = destination(bytes, off);
    const written = emitUnreachable(this.batch.slab, slot, code, mtu, from, to, bytes, off, len);
    this.batch.setRange(at, slot, written);
    this.batch.setVnet(at, 0, 0, 0, 0);
    this.#counters.add(fan.counterBlock, COUNTER['icmp-tx-packets'], 1);
  }

  /** As add, about the packet behind the Ethernet header at `frame`, in a frame to whom it came from. */
  addFramed(
    fan: FanEntry,
    bytes: Uint8Array,
    frame: number,
    len: number,
    code: number,
    mtu: number,
    nowMs: number,
  ): void {
    const { batch } = this;
    const at = batch.count;
    this.add(fan, bytes, frame + ETHERNET_LEN, len, code, mtu, nowMs);
    if (batch.count === at) return;
    const answer = batch.offset(at) - ETHERNET_LEN;
    writeAnswering(batch.slab, answer, bytes, frame);
    batch.setRange(at, answer, batch.length(at) + ETHERNET_LEN);
  }

  /** Counts an error about the inner packet at bytes[off, off+len) that a rate limit keeps from being sent. */
  holdBack(fan: FanEntry, bytes: Uint8Array, off: number, len: number): void {
    this.#counters.drop(fan.counterBlock, DROP['icmp-rate'], 1);
    this.tracer?.heldBack(fan, bytes, off, len);
  }
}
