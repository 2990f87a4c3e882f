/**
 * A fan's programs in the kernel, which send plain packets on by themselves: encap at the egress of its TUN
 * (native/bpf/encap.bpf.c), decap at the ingress of its underlay device (native/bpf/decap.bpf.c). What they don't take comes by
 * the TUN and by the packet socket, as in the other modes.
 *
 * A fan over VXLAN has a TAP, and beside it a VXLAN device: what its programs (native/bpf/vxlan_*.bpf.c) don't take comes
 * by the TAP (io/devices/envelopes.ts).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { native, type ProgramHandles } from '../native.js';

/** Addresses that no peer has which the program can know (FAN_OWN_ADDRESSES). */
export const MOST_OWN_ADDRESSES = 16;

/** What a program takes of what is plain (enum fan_takes); `untraced`: packets of the flows that it was given. */
export const TAKES = { nothing: 0, all: 1, untraced: 2 } as const;
export type Takes = keyof typeof TAKES;

/** Of which packets the outer headers are the programs' own matter, past the VXLAN device, as enum fan_direct. */
export const DIRECT = { none: 0, all: 1, single: 2 } as const;
export type Direct = keyof typeof DIRECT;

/** Words of what makes an envelope of a fan over VXLAN known for one (VXLAN_COOKIE_WORDS). */
export const COOKIE_WORDS = 3;

/** Words of struct fan_flow: generation, source, target, ports (source << 16 | target), protocol. */
export const FLOW_WORDS = 5;

/** Addresses and masks as int32 or u32. */
export interface FanConfig {
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
  /** Index of the device to go on by: the underlay's for encap, the TUN for decap. */
  device: number;
  /** The longest packet that it takes, bytes: for encap the outer one that fits every path, for decap the inner one. */
  limit: number;
  /** Of the outer header, or −1 for the inner one's. */
  ttl: number;
  /** Of the outer header, or −1 for the inner one's. */
  dscp: number;
  /** Bytes before the IP header: 0 at a TUN, 14 at an underlay device. */
  linkHeader: number;
  /** Of a fan over VXLAN; `device` is then, for encap, its VXLAN device. */
  overVxlan?: VxlanConfig;
  /** Those of the underlay that no peer has: of this host, and of all on a link. At most MOST_OWN_ADDRESSES. */
  own: readonly number[];
}

export interface VxlanConfig {
  vni: number;
  /** UDP, of both ends. */
  port: number;
  /** Index of the underlay's device. */
  underlay: number;
  direct: Direct;
  /** COOKIE_WORDS of them. */
  cookie: readonly number[];
}

const NO_VXLAN: VxlanConfig = {
  vni: 0,
  port: 0,
  underlay: 0,
  direct: 'none',
  cookie: Array<number>(COOKIE_WORDS).fill(0),
};

/** The words of struct fan_config, native/bpf/fan_program.h. */
export function fanConfigWords(config: FanConfig): Uint32Array {
  const { vni, port, underlay, direct, cookie } = config.overVxlan ?? NO_VXLAN;
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
    vni,
    port,
    underlay,
    DIRECT[direct],
    ...cookie,
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
  return { addFlow: (words) => void native.programAddFlow(flowsFd, words) };
}

/** Bytes of the longest outer packet that an encap program with this peersFd has sent to `peer` (int32) of late; 0: none. */
export function largestSentOf(peersFd: number, peer: number): number {
  return native.programLargest(peersFd, peer >>> 0);
}

export class FanProgram implements FlowSink {
  readonly #handles: ProgramHandles;

  private constructor(handles: ProgramHandles) {
    this.#handles = handles;
  }

  /**
   * Encap at a TUN. It takes nothing until it is configured. Throws an Error with {code, errno, syscall}: EPERM, EINVAL
   * before kernel 6.6, ENOENT where it was not built.
   */
  static encap(tunIndex: number): FanProgram {
    return FanProgram.#attach('#encap-program', tunIndex, true);
  }

  /** Decap at an underlay device; the rest as for encap. */
  static decap(deviceIndex: number): FanProgram {
    return FanProgram.#attach('#decap-program', deviceIndex, false);
  }

  /** Encap at the TAP of a fan over VXLAN; the rest as for encap. */
  static vxlanEncap(tapIndex: number): FanProgram {
    return FanProgram.#attach('#vxlan-encap-program', tapIndex, true);
  }

  /** Decap at its VXLAN device; the rest as for encap. Until it is configured, it lets all go on to the device. */
  static vxlanDecap(deviceIndex: number): FanProgram {
    return FanProgram.#attach('#vxlan-decap-program', deviceIndex, false);
  }

  /** Decap at the underlay's device of what `vxlanDecap` would take, by what that one was told; it counts there as well. */
  static vxlanDirectDecap(deviceIndex: number, vxlanDecap: FanProgram): FanProgram {
    return FanProgram.#attach('#vxlan-direct-decap-program', deviceIndex, false, vxlanDecap);
  }

  /** What sees at the underlay's device to whom `vxlanEncap` may send without the VXLAN device. */
  static vxlanWitness(deviceIndex: number, vxlanEncap: FanProgram): FanProgram {
    return FanProgram.#attach('#vxlan-witness-program', deviceIndex, true, vxlanEncap);
  }

  /** `sharing`: whose maps it has. */
  static #attach(name: string, deviceIndex: number, egress: boolean, sharing?: FanProgram): FanProgram {
    const path = createRequire(import.meta.url).resolve(name);
    const maps = sharing ? sharing.#maps : new Uint32Array(0);
    return new FanProgram(native.programAttach(readFileSync(path), deviceIndex, egress, maps));
  }

  get #maps(): Uint32Array {
    const { config, counters, peers, flows } = this.#handles;
    return Uint32Array.of(config, counters, peers, flows);
  }

  /** For native.programDevice and Pins.add, good until `detach`. */
  get linkFd(): number {
    return this.#handles.link;
  }

  /** For native.programCount, good until `detach`. */
  get countersFd(): number {
    return this.#handles.counters;
  }

  /** For flowsOf in another worker, good until `detach`. */
  get flowsFd(): number {
    return this.#handles.flows;
  }

  /** For largestSentOf, good until `detach`. */
  get peersFd(): number {
    return this.#handles.peers;
  }

  /** Calls `each` for every peer whose packets the program has sent on: u32 address, packets and inner bytes. Allocates. */
  forEachPeer(each: (address: number, packets: number, bytes: number) => void): void {
    const numbers = native.programPeers(this.#handles.peers);
    for (let i = 0; i < numbers.length; i += 3) each(numbers[i]!, numbers[i + 1]!, numbers[i + 2]!);
  }

  /** From the next packet on. */
  configure(config: FanConfig): void {
    native.programConfigure(this.#handles.config, fanConfigWords(config));
  }

  addFlow(words: Uint32Array): void {
    native.programAddFlow(this.#handles.flows, words);
  }

  /** Runs the program over an Ethernet frame, see native.programTest. */
  test(frame: Uint8Array, out: Uint8Array): { verdict: number; length: number } {
    return native.programTest(this.#handles.program, frame, out);
  }

  detach(): void {
    for (const fd of Object.values(this.#handles)) native.close(fd);
  }
}
