/**
 * What a probe's ICMP goes by: npm's raw-socket, whose addon is bound to the Node that it was built for, or, where it is
 * missing or built for another Node, the addon's own raw sockets, which are bound to none. The same either way.
 *
 * A handful of packets, on the main thread: our sockets are looked at every few milliseconds, and while an echo waits
 * the thread waits in the poller, a millisecond at a time, so that round trips are as exact as by an event.
 */
import type { Socket } from 'raw-socket';
import { formatAddress } from '../../addr/ipv4-address.js';
import { IcmpReceiver, RawSender } from '../../io/devices/raw-socket.js';
import { PacketBatch } from '../../io/packet-batch.js';
import { Poller } from '../../io/poller.js';
import { takePackets } from './take-packets.js';

export interface IcmpTransport {
  /** Sends an IPv4 packet, header included, to an address (u32). One that can't be sent is lost, as by the network. */
  send(packet: Uint8Array, to: number): void;
  /** Where received ICMP goes, IPv4 header first; the bytes are valid during the call. */
  onPacket(receive: (bytes: Uint8Array) => void): void;
  /** Whether somebody waits for a packet just now. */
  awaiting(isAwaiting: boolean): void;
  close(): void;
}

/** An ICMP error with the whole of a large quote. */
const BUFFER_BYTES = 65_536;
const BATCH = 16;
/** The receiver's token in the poller. */
const RECEIVER = 1;
const AWAITING_MS = 1;
const IDLE_MS = 5;

/** Throws an Error with a code where raw sockets are not ours to open. */
export async function openTransport(): Promise<IcmpTransport> {
  return (await openLibraryTransport()) ?? new NativeTransport();
}

/** Undefined where raw-socket can't be loaded by this Node. */
export async function openLibraryTransport(): Promise<IcmpTransport | undefined> {
  const library = await import('raw-socket').catch(() => undefined);
  return library && new LibraryTransport(library.default);
}

class LibraryTransport implements IcmpTransport {
  readonly #socket: Socket;

  constructor({ createSocket, Protocol, SocketLevel, SocketOption }: typeof import('raw-socket')['default']) {
    this.#socket = createSocket({ protocol: Protocol.ICMP, bufferSize: BUFFER_BYTES });
    this.#socket.setOption(SocketLevel.IPPROTO_IP, SocketOption.IP_HDRINCL, 1);
    this.#socket.on('error', () => undefined);
  }

  send(packet: Uint8Array, to: number): void {
    this.#socket.send(Buffer.from(packet), 0, packet.length, formatAddress(to), () => undefined);
  }

  onPacket(receive: (bytes: Uint8Array) => void): void {
    this.#socket.on('message', receive);
  }

  awaiting(): void {}

  close(): void {
    this.#socket.close();
  }
}

export class NativeTransport implements IcmpTransport {
  readonly #receiver = IcmpReceiver.open({}, true);
  readonly #sender = RawSender.open({ bindAddress: 0 });
  readonly #poller = Poller.open();
  readonly #ready = new Int32Array(2);
  readonly #received = PacketBatch.create(BATCH, BATCH * (BUFFER_BYTES + 128));
  readonly #sent = PacketBatch.create(1, BUFFER_BYTES);
  #receive: (bytes: Uint8Array) => void = () => undefined;
  #isAwaiting = false;
  #isClosed = false;
  #next: NodeJS.Timeout | NodeJS.Immediate | undefined;

  constructor() {
    this.#poller.add(this.#receiver.fd, RECEIVER);
    this.#schedule();
  }

  send(packet: Uint8Array, to: number): void {
    const batch = this.#sent;
    batch.slab.set(packet);
    batch.setRange(0, 0, packet.length);
    batch.setVnet(0, 0, 0, 0, 0);
    batch.setAddress(0, to);
    batch.count = 1;
    this.#sender.send(batch);
  }

  onPacket(receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
  }

  awaiting(isAwaiting: boolean): void {
    this.#isAwaiting = isAwaiting;
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#unschedule();
    this.#poller.close();
    this.#receiver.close();
    this.#sender.close();
  }

  #schedule(): void {
    this.#unschedule();
    if (this.#isClosed) return;
    const look = (): void => this.#look();
    this.#next = this.#isAwaiting ? setImmediate(look) : setTimeout(look, IDLE_MS);
  }

  #unschedule(): void {
    clearTimeout(this.#next as NodeJS.Timeout);
    clearImmediate(this.#next as NodeJS.Immediate);
  }

  #look(): void {
    if (this.#poller.wait(this.#ready, this.#isAwaiting ? AWAITING_MS : 0) > 0)
      takePackets(this.#receiver, this.#received, this.#receive);
    this.#schedule();
  }
}
