/**
 * The underlay's side of the dataplane over AF_INET raw sockets: RawSender ends encap, RawReceiver begins decap,
 * IcmpReceiver hears what the path says of our packets (RFC 792). The kernel's part is in native/raw_*.c.
 */

import { deviceError } from '../device-error.js';
import { native, type RawSocketOptions } from '../native.js';
import type { PacketBatch } from '../packet-batch.js';
import { ALL, receiveFilter, type Share } from '../receive-filter.js';
import type { RxDevice, TxDevice } from './device.js';

const PROTOCOL_ICMP = 1;
const PROTOCOL_IPIP = 4;
const PROTOCOL_RAW = 255;
/** Bytes of the outer header that encap writes: IHL 5. */
const OUTER_LEN = 20;
/** Room for a few hundred super-packets; above net.core.[rw]mem_max where we are root. */
const BUFFER_BYTES = 16 << 20;
const ICMP_BUFFER_BYTES = 1 << 20;
const ICMP_ECHO_REPLY = 1 << 0;
/** Unreachable, source quench, redirect, time exceeded, parameter problem: the types that quote a packet. */
const ICMP_ERRORS = (1 << 3) | (1 << 4) | (1 << 5) | (1 << 11) | (1 << 12);

class RawSocket {
  readonly fd: number;
  #closed = false;

  /**
   * Opens one, or takes one that is open. Throws an Error with {code, errno, syscall}: EPERM, EADDRNOTAVAIL for an address
   * that is not ours.
   */
  constructor(options: RawSocketOptions | number) {
    this.fd = typeof options === 'number' ? options : native.rawOpen(options);
  }

  /** Idempotent; the descriptor must not be used afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.close(this.fd);
  }
}

class Receiver extends RawSocket implements RxDevice {
  /** The slab takes one packet a slot of a little over 64 kB; at most 128 a call. */
  receive(batch: PacketBatch): number {
    const count = native.rawReceive(this.fd, batch.slab, batch.descriptors, batch.capacity);
    batch.count = Math.max(count, 0);
    if (count < 0) throw deviceError(count, 'recvmmsg');
    return count;
  }

  /** Packets lost because the receive buffer was full, since the socket was opened. */
  drops(): number {
    return native.socketDrops(this.fd);
  }
}

export interface SenderOptions {
  /** The fan's underlay address, host order: routes are looked up from it. */
  bindAddress: number;
  sendBufferBytes?: number;
  /** SO_MARK of what is sent. */
  mark?: number;
}

/** Sends IPIP packets, outer header included, each to its descriptor's address; super-packets are segmented. */
export class RawSender extends RawSocket implements TxDevice {
  /** Else IPsec policies and routing rules for protocol 4 find none of our packets. */
  readonly #namesProtocol = native.rawCanNameProtocol(this.fd);

  static open(options: SenderOptions): RawSender {
    return new RawSender({ sendBufferBytes: BUFFER_BYTES, ...options, protocol: PROTOCOL_RAW });
  }

  send(batch: PacketBatch): number {
    const { slab, descriptors, count } = batch;
    return native.rawSend(this.fd, slab, descriptors, count, OUTER_LEN, this.#namesProtocol);
  }
}

export interface ReceiverOptions {
  /** Outer destination to receive for, host order; every address of the host by default. */
  bindAddress?: number;
  receiveBufferBytes?: number;
}

/** Receives IPIP packets, outer header first. While it is open the kernel answers none of them (RFC 792, 3/2). */
export class RawReceiver extends Receiver {
  #share = ALL;

  /** `share`: of the packets, where other receivers have the rest. */
  static open(options: ReceiverOptions = {}, share: Share = ALL): RawReceiver {
    const receiver = new RawReceiver({
      receiveBufferBytes: BUFFER_BYTES,
      ...options,
      protocol: PROTOCOL_IPIP,
    });
    receiver.#share = share;
    if (share.count > 1) receiver.ignore([]);
    return receiver;
  }

  /** One that a process before us opened for the same share; what it takes stays as it is until ignore(). */
  static adopt(fd: number, share: Share): RawReceiver {
    const receiver = new RawReceiver(fd);
    receiver.#share = share;
    return receiver;
  }

  /** Receives nothing by these devices to their addresses, pairs [index, host-order address]: another socket does. */
  ignore(pairs: readonly (readonly [number, number])[]): void {
    native.rawFilter(this.fd, receiveFilter(pairs, this.#share));
  }
}

/** Receives ICMP errors, IPv4 header first, each with the index of its device as tag; and echo replies where asked to. */
export class IcmpReceiver extends Receiver {
  /** One that a process before us opened. */
  static adopt(fd: number): IcmpReceiver {
    return new IcmpReceiver(fd);
  }

  static open(options: ReceiverOptions = {}, echoReplies = false): IcmpReceiver {
    return new IcmpReceiver({
      receiveBufferBytes: ICMP_BUFFER_BYTES,
      ...options,
      protocol: PROTOCOL_ICMP,
      icmpTypes: echoReplies ? ICMP_ERRORS | ICMP_ECHO_REPLY : ICMP_ERRORS,
      tellDevice: true,
    });
  }
}
