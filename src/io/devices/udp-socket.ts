/**
 * The underlay's side of a VXLAN fan: UdpSender ends encap, UdpReceiver begins decap. The kernel writes and reads the IP
 * and UDP headers; packets here begin with VXLAN's. The kernel's part is in native/udp_*.c.
 */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import type { PacketBatch } from '../packet-batch.js';
import type { RxDevice, TxDevice } from './device.js';

const BUFFER_BYTES = 16 << 20;
/** Datagrams that one received burst may stand for: so many descriptors a slot of the slab. */
export const UDP_BURST = 64;
/**
 * Source ports of a sender. Routers, and NICs with several queues, tell the flows of a tunnel from each other by them
 * (RFC 7348 §5).
 */
const SOURCE_PORTS = 16;
/** A program of classic BPF that takes nothing: code "return", constant 0. */
const TAKE_NOTHING = Uint32Array.of(0x06, 0, 0, 0);

export interface UdpAddress {
  /** u32 in host order. */
  readonly address: number;
  readonly port: number;
}

/**
 * Sends each packet to a port of its descriptor's address. Its note says how: the TOS in the lower byte, and in the upper
 * one a hash of its flow, which chooses the source port.
 */
export class UdpSender implements TxDevice {
  /** From which it sends: the kernel has chosen them, for nobody to guess. */
  readonly sourcePorts: readonly number[];
  readonly #fds: Int32Array;
  readonly #port: number;

  private constructor(fds: readonly number[], port: number) {
    this.sourcePorts = fds.map((fd) => native.udpPort(fd));
    this.#fds = Int32Array.from(fds);
    this.#port = port;
  }

  /** To `port` of everybody, from our `address`. Throws an Error with {code, errno, syscall}. */
  static open({ address, port }: UdpAddress, ttl: number): UdpSender {
    const fds: number[] = [];
    try {
      while (fds.length < SOURCE_PORTS) {
        fds.push(native.udpOpen(address, 0, '', BUFFER_BYTES, ttl, false));
        // Nobody has a reason to answer there.
        native.rawFilter(fds.at(-1)!, TAKE_NOTHING);
      }
      return new UdpSender(fds, port);
    } catch (error) {
      for (const fd of fds) native.close(fd);
      throw error;
    }
  }

  send(batch: PacketBatch): number {
    return native.udpSend(this.#fds, this.#port, batch.slab, batch.descriptors, batch.count);
  }

  close(): void {
    for (const fd of this.#fds) native.close(fd);
  }
}

/** Receives datagrams: `address` is the sender's, `note` its port, `tag` TTL and TOS. */
export class UdpReceiver implements RxDevice {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * At our `address` and `port`, by `device` alone. Several share what comes in, flow by flow. Throws an Error with
   * {code, errno, syscall}: EADDRINUSE where somebody else has the port.
   */
  static open({ address, port }: UdpAddress, device: string): UdpReceiver {
    return new UdpReceiver(native.udpOpen(address, port, device, BUFFER_BYTES, 0, true));
  }

  /** One that a process before us opened there. */
  static adopt(fd: number): UdpReceiver {
    return new UdpReceiver(fd);
  }

  /** The batch has UDP_BURST descriptors for each slot of a little over 64 kB of its slab. */
  receive(batch: PacketBatch): number {
    const count = native.udpReceive(this.fd, batch.slab, batch.descriptors, batch.capacity);
    batch.count = Math.max(count, 0);
    if (count < 0) throw deviceError(count, 'recvmmsg');
    return count;
  }

  close(): void {
    native.close(this.fd);
  }
}
