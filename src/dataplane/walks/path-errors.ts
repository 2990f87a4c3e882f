/**
 * ICMP errors from the underlay about our outer packets, relayed to the container that sent the inner one
 * (RFC 2003 §5, RFC 4459 §3.1).
 *
 * A quote is believed only if we could have sent it: our address, a peer of the fan, protocol 4, and, where enough
 * of the inner header is quoted, a source in our slice and a destination that maps to that peer.
 *
 * Of several workers each hears every error and learns the path from it; the first one counts it and tells the
 * container.
 */
import { DROP, KEEP } from '../../base/drop-reason.js';
import { underlayHostBits } from '../../fan/mapping.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import { createIcmpError, FRAGMENTATION_NEEDED, HOST_UNREACHABLE, readIcmpError } from '../../wire/icmpv4.js';
import { destinationBits, dontFragment, MIN_HEADER_LEN, PROTOCOL_IPIP, sourceBits } from '../../wire/ipv4.js';
import { innerMtu, PATH_HOST_UNREACHABLE, PATH_TOO_BIG, pathErrorOf } from '../../wire/path-error.js';
import { COUNTER, type Counters, HOST_BLOCK } from '../tables/counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from '../tables/forwarding-table.js';
import type { IcmpReplies } from './icmp-replies.js';
import type { PathMtuTable } from './path-mtu.js';

/** An inner header and the eight bytes behind it: what a container's kernel needs to find its socket. */
const RELAYABLE_QUOTE = MIN_HEADER_LEN + 8;
/** As a fan's index. */
const NO_FAN = -1;

export class PathErrors {
  readonly #counters: Counters;
  readonly #pathMtu: PathMtuTable;
  readonly #replies: IcmpReplies;
  readonly #error = createIcmpError();
  /** Whether this worker speaks for all. */
  readonly #speaks: boolean;
  #table: ForwardingTable;

  constructor(
    counters: Counters,
    pathMtu: PathMtuTable,
    replies: IcmpReplies,
    table: ForwardingTable,
    speaks = true,
  ) {
    this.#counters = counters;
    this.#pathMtu = pathMtu;
    this.#replies = replies;
    this.#table = table;
    this.#speaks = speaks;
  }

  configure(table: ForwardingTable): void {
    this.#table = table;
  }

  /**
   * Takes packet i of `rx`, an ICMP error; returns the fan whose TUN a reply now waits for, or undefined. A verdict of
   * KEEP without a fan: none of our business.
   */
  process(rx: PacketBatch, i: number, nowMs: number): FanEntry | undefined {
    const error = this.#error;
    const bad = readIcmpError(rx.slab, rx.offset(i), rx.length(i), error);
    rx.setVerdict(i, KEEP, NO_FAN, 1);
    // The socket sees every ICMP error of the host; those about other protocols are none of our business.
    if (bad === KEEP && error.protocol !== PROTOCOL_IPIP) return undefined;
    const fan = bad === KEEP ? this.#fanOf(rx.slab) : undefined;
    if (!this.#speaks) {
      if (fan !== undefined) this.#learn(fan, nowMs);
      return undefined;
    }
    if (fan === undefined) {
      this.#counters.drop(HOST_BLOCK, DROP['icmp-invalid'], 1);
      rx.setVerdict(i, DROP['icmp-invalid'], NO_FAN, 1);
      return undefined;
    }
    this.#counters.add(fan.counterBlock, COUNTER['icmp-rx-packets'], 1);
    rx.setVerdict(i, KEEP, fan.index, 1);
    return this.#relay(fan, rx.slab, nowMs) ? fan : undefined;
  }

  /** Returns whether a reply was appended. */
  #relay(fan: FanEntry, bytes: Uint8Array, nowMs: number): boolean {
    const { type, code, mtu, innerOffset, innerLen } = this.#error;
    const kind = pathErrorOf(type, code, mtu);
    const before = this.#replies.batch.count;
    if (kind === PATH_TOO_BIG) {
      const learnt = this.#learn(fan, nowMs);
      // A container that lets its packets be cut need not hear of it: the next one leaves in outer fragments.
      if (learnt && innerLen >= RELAYABLE_QUOTE && dontFragment(bytes, innerOffset)) {
        this.#replies.add(fan, bytes, innerOffset, innerLen, FRAGMENTATION_NEEDED, innerMtu(mtu), nowMs);
      }
    } else if (kind === PATH_HOST_UNREACHABLE && innerLen >= RELAYABLE_QUOTE) {
      this.#replies.add(fan, bytes, innerOffset, innerLen, HOST_UNREACHABLE, 0, nowMs);
    }
    return this.#replies.batch.count > before;
  }

  /** Returns whether the error tells of a narrow path. */
  #learn(fan: FanEntry, nowMs: number): boolean {
    const { type, code, mtu, destination: peer } = this.#error;
    if (pathErrorOf(type, code, mtu) !== PATH_TOO_BIG) return false;
    return this.#pathMtu.learn(peer, mtu, fan.underlayMtu, nowMs);
  }

  /** The fan that could have sent the quoted packet, or undefined. */
  #fanOf(bytes: Uint8Array): FanEntry | undefined {
    const { source: from, destination: peer, innerOffset, innerLen } = this.#error;
    let fan = this.#table.fanAt(from | 0);
    if (fan === undefined) return undefined;
    if (innerLen >= MIN_HEADER_LEN) {
      const target = destinationBits(bytes, innerOffset);
      const found = this.#table.fanOf(target);
      if (found === undefined || found.address !== (from | 0)) return undefined;
      fan = found;
      const sender = sourceBits(bytes, innerOffset);
      if (!isHostOfSlice(fan, sender) && !this.#table.isSiblingSource(fan, sender)) return undefined;
      if (underlayHostBits(fan, target) !== (peer | 0)) return undefined;
    }
    return (peer & fan.underlayMask) === fan.underlayBase ? fan : undefined;
  }
}
