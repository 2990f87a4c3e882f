/**
 * A probe's ICMP (RFC 792): echo requests from an address of our choice, their replies, and every ICMP error that comes
 * in meanwhile. Over npm's raw-socket: a handful of packets, on the main thread; open while a probe runs.
 */
import { randomInt } from 'node:crypto';
import rawSocket, { type Socket } from 'raw-socket';
import { formatAddress } from '../../addr/ipv4-address.js';
import { errorText, FanError } from '../../base/error.js';
import { encodeEcho, readEchoReply } from '../../wire/icmp-echo.js';
import { createIcmpError, type IcmpError, readIcmpError } from '../../wire/icmpv4.js';
import { source } from '../../wire/ipv4.js';

/** An ICMP error with the whole of a large quote. */
const BUFFER_BYTES = 65_536;

export interface PathNotice extends IcmpError {
  /** Who sent it. */
  readonly reporter: string;
}

export class IcmpSocket {
  readonly #socket: Socket;
  readonly #id = randomInt(0x10000);
  readonly #waiting = new Map<number, () => void>();
  readonly notices: PathNotice[] = [];
  #sequence = 0;

  /** Throws FanError step-failed where a raw socket can't be opened. */
  constructor() {
    try {
      const { Protocol, SocketLevel, SocketOption } = rawSocket;
      this.#socket = rawSocket.createSocket({ protocol: Protocol.ICMP, bufferSize: BUFFER_BYTES });
      this.#socket.setOption(SocketLevel.IPPROTO_IP, SocketOption.IP_HDRINCL, 1);
    } catch (cause) {
      throw new FanError('step-failed', `cannot open a raw socket: ${errorText(cause)}`, { cause });
    }
    this.#socket.on('message', (bytes: Buffer) => this.#receive(bytes));
    // One packet could not be read or sent: it is missing, as if the network had lost it.
    this.#socket.on('error', () => undefined);
  }

  /** Round trip in ms, or undefined where no reply comes within `timeoutMs`. Addresses are u32. */
  async echo(from: number, to: number, timeoutMs: number): Promise<number | undefined> {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    const packet = Buffer.from(encodeEcho({ source: from, destination: to, id: this.#id, sequence }));
    const startMs = performance.now();
    try {
      return await new Promise<number | undefined>((resolve) => {
        this.#waiting.set(sequence, () => resolve(performance.now() - startMs));
        setTimeout(resolve, timeoutMs, undefined);
        this.#socket.send(packet, 0, packet.length, formatAddress(to), () => undefined);
      });
    } finally {
      this.#waiting.delete(sequence);
    }
  }

  close(): void {
    this.#socket.close();
  }

  #receive(bytes: Buffer): void {
    const reply = readEchoReply(bytes);
    if (reply) {
      if (reply.id === this.#id) this.#waiting.get(reply.sequence)?.();
      return;
    }
    const error = createIcmpError();
    if (readIcmpError(bytes, 0, bytes.length, error) === 0) {
      this.notices.push({ ...error, reporter: formatAddress(source(bytes, 0)) });
    }
  }
}
