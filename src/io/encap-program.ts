/**
 * Encap in the kernel: the program at the egress of a fan's TUN (native/encap.bpf.c), which sends plain packets on by
 * itself. What it doesn't take is read from the TUN as in the other modes.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deviceIndex } from './device-index.js';
import { type EncapHandles, native } from './native.js';

/** Underlay addresses of this host that the program can know (ENCAP_OWN_ADDRESSES). */
export const MOST_OWN_ADDRESSES = 8;

/** What a program takes of what is plain (enum encap_takes); `untraced`: packets of the flows that it was given. */
export const TAKES = { nothing: 0, all: 1, untraced: 2 } as const;
export type Takes = keyof typeof TAKES;

/** Words of struct encap_flow: generation, source, target, ports (source << 16 | target), protocol. */
export const FLOW_WORDS = 5;

/** Addresses and masks as int32 or u32. */
export interface EncapConfig {
  takes: Takes;
  /** That of the flows which count as untraced. */
  generation: number;
  overlayBase: number;
  overlayMask: number;
  sliceBase: number;
  sliceMask: number;
  underlayBase: number;
  underlayMask: number;
  /** Underlay prefix length − overlay prefix length. */
  shift: number;
  /** Our underlay address. */
  address: number;
  /** Index of the underlay device. */
  device: number;
  /** The longest outer packet that fits every path, bytes. */
  limit: number;
  /** Of the outer header, or −1 for the inner one's. */
  ttl: number;
  /** Of the outer header, or −1 for the inner one's. */
  dscp: number;
  /** Bytes before the IP header: 0 at a TUN. */
  linkHeader: number;
  /** Underlay addresses of this host's fans, at most MOST_OWN_ADDRESSES. */
  own: readonly number[];
}

/** The words of struct encap_config, native/encap_program.h. */
export function encapConfigWords(config: EncapConfig): Uint32Array {
  const own = Array.from({ length: MOST_OWN_ADDRESSES }, (_, i) => config.own[i] ?? 0);
  return Uint32Array.of(
    TAKES[config.takes],
    config.generation,
    config.overlayBase,
    config.overlayMask,
    config.sliceBase,
    config.sliceMask,
    config.underlayBase,
    config.underlayMask,
    config.shift,
    config.address,
    config.device,
    config.limit,
    config.ttl,
    config.dscp,
    config.linkHeader,
    ...own,
  );
}

/** Takes flows for a program. */
export interface FlowSink {
  /**
   * Lets the program take packets of this flow, FLOW_WORDS in host order, while it takes what is untraced. Where the
   * kernel has no room, they go on coming to us.
   */
  addFlow(words: Uint32Array): void;
}

/** The program of another worker, by its flowsFd. Once that is closed flows are lost, as where there is no room. */
export function flowsOf(flowsFd: number): FlowSink {
  return { addFlow: (words) => void native.encapAddFlow(flowsFd, words) };
}

export class EncapProgram implements FlowSink {
  readonly #handles: EncapHandles;

  private constructor(handles: EncapHandles) {
    this.#handles = handles;
  }

  /**
   * Attaches the program to a TUN, where it takes nothing until it is configured. Throws an Error with {code, errno,
   * syscall}: EPERM, EINVAL before kernel 6.6, ENOENT where it was not built.
   */
  static attach(tunName: string): EncapProgram {
    const path = createRequire(import.meta.url).resolve('#encap-program');
    return new EncapProgram(native.encapAttach(readFileSync(path), deviceIndex(tunName)));
  }

  /** For native.encapCount, good until `detach`. */
  get countersFd(): number {
    return this.#handles.counters;
  }

  /** For flowsOf in another worker, good until `detach`. */
  get flowsFd(): number {
    return this.#handles.flows;
  }

  /** Calls `each` for every peer that the program has sent to: u32 address, packets and inner bytes. Allocates. */
  forEachPeer(each: (address: number, packets: number, bytes: number) => void): void {
    const numbers = native.encapPeers(this.#handles.peers);
    for (let i = 0; i < numbers.length; i += 3) each(numbers[i]!, numbers[i + 1]!, numbers[i + 2]!);
  }

  /** From the next packet on. */
  configure(config: EncapConfig): void {
    native.encapConfigure(this.#handles.config, encapConfigWords(config));
  }

  addFlow(words: Uint32Array): void {
    native.encapAddFlow(this.#handles.flows, words);
  }

  /** Runs the program over an Ethernet frame, see native.encapTest. */
  test(frame: Uint8Array, out: Uint8Array): { verdict: number; length: number } {
    return native.encapTest(this.#handles.program, frame, out);
  }

  detach(): void {
    for (const fd of Object.values(this.#handles)) native.close(fd);
  }
}
