/**
 * ICMP errors that we originate toward containers, gathered in a small batch that the forwarder writes to the
 * fan's TUN. The source is the inner destination of the quoted packet: the kernel drops, silently, a packet that
 * arrives on a device with an address of its own as source.
 */
import { DROP } from '../../base/drop-reason.js';
import { RateLimit } from '../../base/rate-limit.js';
import { HEADROOM, PacketBatch } from '../../io/packet-batch.js';
import { emitUnreachable, mayAnswerWithError } from '../../wire/icmpv4.js';
import { destination, source } from '../../wire/ipv4.js';
import { COUNTER, type Counters } from '../tables/counters.js';
import type { FanEntry } from '../tables/forwarding-table.js';
import type { Tracer } from '../tracing/tracer.js';

const CAPACITY = 32;
/** Holds the headroom and an error of 576 bytes. */
const SLOT = 640;
const PER_SECOND = 1000;
const BURST = 100;

export class IcmpReplies {
  readonly batch = new PacketBatch(CAPACITY, new Uint8Array(CAPACITY * SLOT));
  readonly #counters: Counters;
  readonly #limit: RateLimit;
  /** Is told of what the rate limit holds back. */
  tracer: Tracer | undefined;

  /** `workers` share the rate: one that is asked for all of the errors gives its part of them. */
  constructor(counters: Counters, workers = 1) {
    this.#counters = counters;
    this.#limit = new RateLimit(PER_SECOND / workers, BURST / workers);
  }

  /**
   * Appends "destination unreachable" with `code` about the inner packet at bytes[off, off+len); `mtu` is for code
   * 4 only. Nothing is sent about packets that may not be answered (RFC 1122 §3.2.2), nor past the rate limit.
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
    if (this.batch.count === CAPACITY || !this.#limit.take(nowMs)) {
      this.#counters.drop(fan.counterBlock, DROP['icmp-rate'], 1);
      this.tracer?.heldBack(fan, bytes, off, len);
      return;
    }
    const at = this.batch.count++;
    const slot = at * SLOT + HEADROOM;
    const from = destination(bytes, off);
    const to = source(bytes, off);
    const written = emitUnreachable(this.batch.slab, slot, code, mtu, from, to, bytes, off, len);
    this.batch.setRange(at, slot, written);
    this.batch.setVnet(at, 0, 0, 0, 0);
    this.#counters.add(fan.counterBlock, COUNTER['icmp-tx-packets'], 1);
  }
}
