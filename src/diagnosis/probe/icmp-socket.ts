/**
 * A probe's ICMP (RFC 792): echo requests from an address of our choice, their replies, and every ICMP error that comes
 * in meanwhile. Over npm's raw-socket, or over our own sockets where that is not there; open while a probe runs.
 */
import { randomInt } from 'node:crypto';
import { formatAddress } from '../../addr/ipv4-address.js';
import { errorText, FanError } from '../../base/error.js';
import { encodeEcho, readEchoReply } from '../../wire/icmp-echo.js';
import { createIcmpError, type IcmpError, readIcmpError } from '../../wire/icmpv4.js';
import { PROTOCOL_UDP, read16, source } from '../../wire/ipv4.js';
import { type IcmpTransport, openTransport } from './icmp-transport.js';

const UDP_PORTS_LEN = 4;

export interface PathNotice extends IcmpError {
  /** Who sent it. */
  readonly reporter: string;
  /** Destination port of a quoted UDP packet; else 0. */
  readonly port: number;
}

export class IcmpSocket {
  readonly #transport: IcmpTransport;
  readonly #id = randomInt(0x10000);
  readonly #waiting = new Map<number, () => void>();
  readonly notices: PathNotice[] = [];
  #sequence = 0;

  /** Throws FanError step-failed where a raw socket can't be opened. */
  static async open(): Promise<IcmpSocket> {
    try {
      return new IcmpSocket(await openTransport());
    } catch (cause) {
      throw new FanError('step-failed', `cannot open a raw socket: ${errorText(cause)}`, { cause });
    }
  }

  constructor(transport: IcmpTransport) {
    this.#transport = transport;
    transport.onPacket((bytes) => this.#receive(bytes));
  }

  /** Round trip in ms, or undefined where no reply comes within `timeoutMs`. Addresses are u32. */
  async echo(from: number, to: number, timeoutMs: number): Promise<number | undefined> {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    const packet = Buffer.from(encodeEcho({ source: from, destination: to, id: this.#id, sequence }));
    const startMs = performance.now();
    this.#transport.awaiting(true);
    try {
      return await new Promise<number | undefined>((resolve) => {
        this.#waiting.set(sequence, () => resolve(performance.now() - startMs));
        setTimeout(resolve, timeoutMs, undefined);
        this.#transport.send(packet, to);
      });
    } finally {
      this.#waiting.delete(sequence);
      this.#transport.awaiting(this.#waiting.size > 0);
    }
  }

  close(): void {
    this.#transport.close();
  }

  #receive(bytes: Uint8Array): void {
    const reply = readEchoReply(bytes);
    if (reply) {
      if (reply.id === this.#id) this.#waiting.get(reply.sequence)?.();
      return;
    }
    const error = createIcmpError();
    if (readIcmpError(bytes, 0, bytes.length, error) === 0) {
      const hasPort = error.protocol === PROTOCOL_UDP && error.innerLen >= UDP_PORTS_LEN;
      const port = hasPort ? read16(bytes, error.innerOffset + 2) : 0;
      this.notices.push({ ...error, reporter: formatAddress(source(bytes, 0)), port });
    }
  }
}
