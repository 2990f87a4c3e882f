/**
 * A capture from anywhere, packet by packet: what a fan would say to it. Tunnel packets, of IP-in-IP or VXLAN, are judged as
 * on arrival, plain packets and ARP of an overlay as on departure; everything else is passed over and counted.
 */
import { type DropReasonName, dropReasonName, KEEP } from '../base/drop-reason.js';
import {
  destination,
  fragmentOffset,
  headerLen,
  isFragment,
  MIN_HEADER_LEN,
  PROTOCOL_IPIP,
  PROTOCOL_UDP,
  protocol,
  read16,
  source,
  totalLength,
} from '../wire/ipv4.js';
import { prettyFrame, prettyPacket } from '../wire/pretty.js';
import { UDP_HEADER_LEN, UDP_TARGET_PORT } from '../wire/udp.js';
import { ARP_LEN, ETHERNET_LEN, ETHERTYPE_ARP, etherType, VXLAN_LEN } from '../wire/vxlan.js';
import type { Frame } from './frame.js';
import { Judge, type JudgedFan } from './judge.js';
import { ipv4Offset, isArpFrame, isUntagged, knowsLinkType } from './link-layer.js';
import { Reassembly } from './reassembly.js';

/** `fragment`: judged with the last one of its datagram. `cut`: the capture has too little of it. */
export type DissectVerdict = 'accepted' | 'dropped' | 'fragment' | 'cut';

export interface Dissected {
  number: number;
  timeNs: bigint;
  path: 'decap' | 'encap';
  verdict: DissectVerdict;
  reason?: DropReasonName;
  /** A line a layer, deeper ones indented. */
  layers: string[];
  /** The capture's own, as `fanctl capture` writes it. */
  comment?: string;
}

type Judged = Pick<Dissected, 'path' | 'verdict' | 'reason' | 'layers'>;

export interface Summary {
  frames: number;
  accepted: number;
  dropped: number;
  /** By reason. */
  reasons: Partial<Record<DropReasonName, number>>;
  fragments: number;
  /** Datagrams that lack a fragment. */
  incomplete: number;
  /** Too little in the capture to judge. */
  cut: number;
  /** Neither a tunnel packet nor one of an overlay. */
  other: number;
  /** Of those, frames of a link type that is not read. */
  unknownLink: number;
}

/** Longest packet, its outer header included. */
const MOST_BYTES = 65_535 + 60;

export class Dissection {
  readonly #judge: Judge;
  readonly #reassembly = new Reassembly();
  /** What a capture cut off is not looked at; headers are printed as of the whole packet. */
  readonly #room = new Uint8Array(MOST_BYTES);
  readonly #summary: Summary = {
    frames: 0,
    accepted: 0,
    dropped: 0,
    reasons: {},
    fragments: 0,
    incomplete: 0,
    cut: 0,
    other: 0,
    unknownLink: 0,
  };

  constructor(fans: readonly JudgedFan[]) {
    this.#judge = new Judge(fans);
  }

  get summary(): Summary {
    return { ...this.#summary, incomplete: this.#reassembly.incomplete };
  }

  /** Undefined: not of a fan, only counted. */
  add(frame: Frame): Dissected | undefined {
    this.#summary.frames++;
    const judged = this.#judgeFrame(frame);
    if (judged === undefined) {
      this.#summary.other++;
      if (!knowsLinkType(frame.linkType)) this.#summary.unknownLink++;
      return undefined;
    }
    this.#count(judged.verdict, judged.reason);
    const { number, timeNs, comment } = frame;
    return { number, timeNs, ...judged, ...(comment !== undefined && { comment }) };
  }

  #judgeFrame(frame: Frame): Judged | undefined {
    if (isArpFrame(frame.linkType, frame.bytes)) return this.#judgeArp(frame.bytes);
    const off = ipv4Offset(frame.linkType, frame.bytes);
    if (off === undefined) return undefined;
    const bytes = frame.bytes.subarray(off);
    const length = Math.min(frame.length - off, MOST_BYTES);
    if (bytes.length < MIN_HEADER_LEN) return undefined;
    const tunnelled = this.#judgeTunnelled(bytes, length);
    if (tunnelled !== undefined) return { path: 'decap', layers: this.#layers(bytes, length), ...tunnelled };
    const reason = this.#judge.encap(
      bytes,
      length,
      isUntagged(frame.linkType, off) ? frame.bytes.subarray(0, off) : undefined,
    );
    return reason === undefined
      ? undefined
      : { path: 'encap', layers: this.#layers(bytes, length), ...named(reason) };
  }

  #judgeArp(frame: Uint8Array): Judged | undefined {
    if (frame.length < ETHERNET_LEN + ARP_LEN) return undefined;
    const reason = this.#judge.encapArp(frame);
    if (reason === undefined) return undefined;
    return { path: 'encap', layers: prettyFrame(frame, 0, frame.length).split('\n'), ...named(reason) };
  }

  /** Undefined for what is in no tunnel of these fans. */
  #judgeTunnelled(bytes: Uint8Array, length: number): Pick<Dissected, 'verdict' | 'reason'> | undefined {
    const isVxlan = protocol(bytes, 0) === PROTOCOL_UDP;
    if (isVxlan ? !this.#mayBeVxlan(bytes) : protocol(bytes, 0) !== PROTOCOL_IPIP) return undefined;
    if (isFragment(bytes, 0)) {
      const there = totalLength(bytes, 0) <= bytes.length && headerLen(bytes, 0) >= MIN_HEADER_LEN;
      if (!there) return { verdict: 'cut' };
      const datagram = this.#reassembly.add(bytes);
      return datagram ? this.#judgeTunnelled(datagram, datagram.length) : { verdict: 'fragment' };
    }
    const headers = isVxlan ? vxlanHeadersLen(bytes) : headersLen(bytes, headerLen(bytes, 0));
    if (bytes.length < Math.min(length, headers)) return { verdict: 'cut' };
    return named(isVxlan ? this.#judge.decapVxlan(bytes, length) : this.#judge.decap(bytes, length));
  }

  /** UDP to one of the fans' ports; of fragments without ports, between hosts of theirs. */
  #mayBeVxlan(bytes: Uint8Array): boolean {
    if (fragmentOffset(bytes, 0) > 0)
      return this.#judge.areVxlanHosts(source(bytes, 0), destination(bytes, 0));
    const udp = headerLen(bytes, 0);
    return (
      bytes.length >= udp + UDP_HEADER_LEN &&
      this.#judge.vxlanPorts.includes(read16(bytes, udp + UDP_TARGET_PORT))
    );
  }

  #layers(bytes: Uint8Array, length: number): string[] {
    this.#room.set(bytes.subarray(0, this.#room.length));
    this.#room.fill(0, bytes.length, Math.min(length, bytes.length + 120));
    return prettyPacket(this.#room, 0, length, this.#judge.vxlanPorts).split('\n');
  }

  #count(verdict: DissectVerdict, reason: DropReasonName | undefined): void {
    const summary = this.#summary;
    if (verdict === 'accepted') summary.accepted++;
    else if (verdict === 'fragment') summary.fragments++;
    else if (verdict === 'cut') summary.cut++;
    else summary.dropped++;
    if (reason !== undefined) summary.reasons[reason] = (summary.reasons[reason] ?? 0) + 1;
  }
}

function named(reason: number): Pick<Dissected, 'verdict' | 'reason'> {
  const name = reason === KEEP ? undefined : dropReasonName(reason);
  return name === undefined ? { verdict: 'accepted' } : { verdict: 'dropped', reason: name };
}

/** Bytes of all headers, where the inner one is at `inner`: what the checks look at. */
function headersLen(bytes: Uint8Array, inner: number): number {
  return inner + (inner < bytes.length ? Math.max(MIN_HEADER_LEN, headerLen(bytes, inner)) : MIN_HEADER_LEN);
}

function vxlanHeadersLen(bytes: Uint8Array): number {
  const frame = headerLen(bytes, 0) + UDP_HEADER_LEN + VXLAN_LEN;
  if (bytes.length < frame + ETHERNET_LEN) return frame + ETHERNET_LEN;
  const inner = frame + ETHERNET_LEN;
  return etherType(bytes, frame) === ETHERTYPE_ARP ? inner + ARP_LEN : headersLen(bytes, inner);
}
