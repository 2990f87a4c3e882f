/**
 * Would the other type of fan pass between two hosts? Whoever asks, and whoever is asked, each hold an ear where such a
 * fan would have its own: a socket for protocol 4, or the UDP port of VXLAN. A probe that an ear hears is sent back by the
 * same way, which the other ear hears; both are closed a moment later.
 */
import { createSocket, type Socket } from 'node:dgram';
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { RawReceiver, RawSender } from '../../io/devices/raw-socket.js';
import { PacketBatch } from '../../io/packet-batch.js';
import { emitIpv4, headerLen, MIN_HEADER_LEN, PLAIN_HEADER, PROTOCOL_IPIP, source } from '../../wire/ipv4.js';
import { decodeProbe, encodeProbe, isProbe, LEAST_PROBE_LEN } from '../../wire/probe.js';
import { takePackets } from './take-packets.js';

/** For the question to come back, and for a few probes and their answers. */
export const EAR_MS = 1500;
/** After an ear that somebody else asked for. */
const REST_MS = 30_000;
const LOOK_MS = 5;
const BUFFER_BYTES = 1 << 16;
const SLOT = 65_536 + 128;

/** `nonce` is that of the exchange (NONCE). */
type OnHeard = (sender: number, kind: 'probe' | 'reply', nonce: string) => void;

export interface Ear {
  /** To a host, u32. */
  send(host: number, kind: 'probe' | 'reply', nonce: string): void;
  close(): void;
}

/** At our `address`; `port` 0: for protocol 4. Throws an Error with a code where somebody has the port. */
export async function openEar(address: number, port: number, onHeard: OnHeard): Promise<Ear> {
  return port === 0 ? Protocol4Ear.open(address, onHeard) : UdpEar.open(address, port, onHeard);
}

/**
 * The ears that others ask for: at each port one, whoever asks, and none for a good while after it, so that nobody can keep
 * the port from those whose it is.
 */
export class LentEars {
  /** By port; the last one, which rests when it is closed. */
  readonly #turns = new Map<number, { readonly restsUntilMs: number; ear?: Ear }>();
  #changes = 0;

  /** Holds an ear for EAR_MS that answers what `host` says with this nonce; returns whether it does. */
  async answer(address: number, port: number, host: number, nonce: string): Promise<boolean> {
    const nowMs = performance.now();
    if (this.#changes > 0 || nowMs < (this.#turns.get(port)?.restsUntilMs ?? 0)) return false;
    const turn: { restsUntilMs: number; ear?: Ear } = { restsUntilMs: nowMs + EAR_MS + REST_MS };
    this.#turns.set(port, turn);
    try {
      const ear: Ear = await openEar(address, port, (sender, kind, heard) => {
        if (sender === host && kind === 'probe' && heard === nonce) ear.send(host, 'reply', nonce);
      });
      turn.ear = ear;
    } catch {
      return false;
    }
    if (this.#changes > 0) this.close();
    else setTimeout(() => closeTurn(turn), EAR_MS).unref();
    return turn.ear !== undefined;
  }

  /** As long as `change` takes there is none: it may want the port. */
  async keptClosed<Result>(change: () => Promise<Result>): Promise<Result> {
    this.#changes++;
    this.close();
    try {
      return await change();
    } finally {
      this.#changes--;
    }
  }

  close(): void {
    for (const turn of this.#turns.values()) closeTurn(turn);
  }
}

function closeTurn(turn: { ear?: Ear }): void {
  turn.ear?.close();
  delete turn.ear;
}

function probeOf(from: number, to: number, kind: 'probe' | 'reply', nonce: string): Uint8Array {
  return encodeProbe({ kind, source: from, destination: to, sequence: 0, nonce, length: LEAST_PROBE_LEN });
}

function hear(sender: number, bytes: Uint8Array, onHeard: OnHeard): void {
  if (bytes.length < LEAST_PROBE_LEN || !isProbe(bytes, 0)) return;
  const { kind, nonce } = decodeProbe(bytes, 0);
  onHeard(sender, kind, nonce);
}

class UdpEar implements Ear {
  readonly #address: number;
  readonly #port: number;
  readonly #ear: Socket;
  readonly #mouth: Socket;

  private constructor(address: number, port: number, ear: Socket, mouth: Socket, onHeard: OnHeard) {
    this.#address = address;
    this.#port = port;
    this.#ear = ear;
    this.#mouth = mouth;
    ear.on('message', (bytes, from) => hear(parseAddress(from.address), bytes, onHeard));
  }

  static async open(address: number, port: number, onHeard: OnHeard): Promise<UdpEar> {
    const ear = await bound(address, port);
    try {
      // As VXLAN has it: from any port, to that one.
      return new UdpEar(address, port, ear, await bound(address, 0), onHeard);
    } catch (error) {
      ear.close();
      throw error;
    }
  }

  send(host: number, kind: 'probe' | 'reply', nonce: string): void {
    const bytes = probeOf(this.#address, host, kind, nonce);
    this.#mouth.send(bytes, this.#port, formatAddress(host), () => undefined);
  }

  close(): void {
    this.#ear.close();
    this.#mouth.close();
  }
}

async function bound(address: number, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: formatAddress(address), port, exclusive: true }, resolve);
    });
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.removeAllListeners('error');
  // An error about one datagram that was sent.
  socket.on('error', () => undefined);
  return socket;
}

class Protocol4Ear implements Ear {
  readonly #address: number;
  readonly #receiver: RawReceiver;
  readonly #sender: RawSender;
  readonly #onHeard: OnHeard;
  readonly #received = PacketBatch.create(4, 4 * SLOT);
  readonly #sent = PacketBatch.create(1, SLOT);
  readonly #timer: NodeJS.Timeout;

  private constructor(address: number, receiver: RawReceiver, sender: RawSender, onHeard: OnHeard) {
    this.#address = address;
    this.#onHeard = onHeard;
    this.#receiver = receiver;
    this.#sender = sender;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  static open(address: number, onHeard: OnHeard): Protocol4Ear {
    const receiver = RawReceiver.open({ bindAddress: address, receiveBufferBytes: BUFFER_BYTES });
    try {
      const sender = RawSender.open({ bindAddress: address, sendBufferBytes: BUFFER_BYTES });
      return new Protocol4Ear(address, receiver, sender, onHeard);
    } catch (error) {
      receiver.close();
      throw error;
    }
  }

  send(host: number, kind: 'probe' | 'reply', nonce: string): void {
    const inner = probeOf(this.#address, host, kind, nonce);
    const batch = this.#sent;
    emitIpv4(batch.slab, 0, {
      ...PLAIN_HEADER,
      totalLength: MIN_HEADER_LEN + inner.length,
      dontFragment: true,
      protocol: PROTOCOL_IPIP,
      source: this.#address,
      destination: host,
    });
    batch.slab.set(inner, MIN_HEADER_LEN);
    batch.setRange(0, 0, MIN_HEADER_LEN + inner.length);
    batch.setVnet(0, 0, 0, 0, 0);
    batch.setAddress(0, host);
    batch.count = 1;
    this.#sender.send(batch);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#receiver.close();
    this.#sender.close();
  }

  #look(): void {
    takePackets(this.#receiver, this.#received, (packet) => {
      hear(source(packet, 0), packet.subarray(headerLen(packet, 0)), this.#onHeard);
    });
  }
}
