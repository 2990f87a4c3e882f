/**
 * The UDP socket of probes at one underlay address: requests of peers go to its handler, answers to whoever asked. Both
 * use the one port, so that a firewall that lets probes in lets the answers in too. What comes from another
 * port is no host's: a container that goes out in its host's name does so from another (host/steps/nat-step.ts).
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { PROBE_PORT } from '../../base/probe-port.js';
import { native } from '../../io/native.js';
import { datagramFilter } from '../../io/receive-filter.js';
import {
  type Answer,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  REQUEST_LEN,
  type Request,
} from './message.js';

export interface RequestHandler {
  /** Whether a host, by its underlay address (u32), may ask now; asked before anything else is looked at. */
  mayAsk(sender: number): boolean;
  /** Undefined: no answer. */
  answer(request: Request, sender: number): Promise<Answer | undefined>;
}

const NO_ANSWERS: RequestHandler = { mayAsk: () => false, answer: async () => undefined };

/** An answer is no longer than its request. */
const MOST_BYTES = REQUEST_LEN;
/** Of a JSON object. */
const FIRST_BYTE = 0x7b;
/** Room for all answers that may wait for ARP at a time (asker-limits.ts), at some 2.3 kB of the kernel's each. */
const SEND_BUFFER = 1 << 20;

interface Waiting {
  readonly peer: string;
  readonly settle: (answer: Answer) => void;
}

export class ProbeSocket {
  readonly #socket: Socket;
  readonly #handler: RequestHandler;
  readonly #waiting = new Map<string, Waiting>();

  private constructor(socket: Socket, handler: RequestHandler) {
    this.#socket = socket;
    this.#handler = handler;
    socket.on('message', (bytes, { address, port }) => void this.#receive(bytes, address, port));
    // An error about one datagram that was sent; who waits for its answer will see none.
    socket.on('error', () => undefined);
  }

  /** Throws an Error with a code where the port is taken or the address is not here. */
  static async open(address: number, handler = NO_ANSWERS): Promise<ProbeSocket> {
    const socket = createSocket('udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind({ address: formatAddress(address), port: PROBE_PORT, exclusive: true }, resolve);
      });
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.removeAllListeners('error');
    socket.setSendBufferSize(SEND_BUFFER);
    return new ProbeSocket(socket, handler);
  }

  /**
   * Has the kernel leave what no host of these networks (base and mask, u32) says in the form of a probe, so that a flood of
   * it takes no room from those that do. A Node that tells no descriptor goes without.
   */
  hearOnly(networks: readonly (readonly [base: number, mask: number])[]): void {
    const fd = descriptorOf(this.#socket);
    if (fd === undefined) return;
    const form = { port: PROBE_PORT, networks, firstByte: FIRST_BYTE, mostBytes: MOST_BYTES };
    native.rawFilter(fd, datagramFilter(form));
  }

  /**
   * The answer of the responder at `peer`, however often it was asked by then: once for each of `waitsMs`, until `isOver`
   * says that none will come. Undefined without one.
   */
  async ask(
    peer: string,
    question: Omit<Request, 'id'>,
    waitsMs: readonly number[],
    isOver: () => boolean,
  ): Promise<Answer | undefined> {
    const id = randomBytes(8).toString('hex');
    const request = encodeRequest({ id, ...question });
    const answered = new Promise<Answer>((settle) => this.#waiting.set(id, { peer, settle }));
    try {
      for (const waitMs of waitsMs) {
        this.#socket.send(request, PROBE_PORT, peer, () => undefined);
        const answer = await Promise.race([answered, sleep(waitMs, undefined)]);
        if (answer || isOver()) return answer;
      }
      return undefined;
    } finally {
      this.#waiting.delete(id);
    }
  }

  close(): void {
    this.#socket.close();
  }

  async #receive(bytes: Buffer, address: string, port: number): Promise<void> {
    if (port !== PROBE_PORT || bytes.length > MOST_BYTES) return;
    const sender = parseAddress(address);
    const isAsked = [...this.#waiting.values()].some(({ peer }) => peer === address);
    if (!this.#handler.mayAsk(sender) && !isAsked) return;
    const answer = decodeAnswer(bytes);
    if (answer) {
      const waiting = this.#waiting.get(answer.id);
      if (waiting?.peer === address) waiting.settle(answer);
      return;
    }
    const request = decodeRequest(bytes);
    const reply = request && (await this.#handler.answer(request, sender));
    if (!reply) return;
    const encoded = encodeAnswer(reply);
    if (encoded.length <= bytes.length) this.#socket.send(encoded, port, address, () => undefined);
  }
}

/** Node has no other name for it than one that it warns of (DEP0112). */
function descriptorOf(socket: Socket): number | undefined {
  const { noDeprecation = false } = process;
  process.noDeprecation = true;
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } };
  process.noDeprecation = noDeprecation;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
