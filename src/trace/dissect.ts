/**
 * A capture from anywhere, packet by packet: what a fan would say to it. Tunnel packets are judged as on arrival, plain
 * packets of an overlay as on departure; everything else is passed over and counted.
 */
import { type DropReasonName, dropReasonName, KEEP } from '../base/drop-reason.js';
import { headerLen, isFragment, MIN_HEADER_LEN, PROTOCOL_IPIP, protocol, totalLength } from '../wire/ipv4.js';
import { prettyPacket } from '../wire/pretty.js';
import type { Frame } from './frame.js';
import { Judge, type JudgedFan } from './judge.js';
import { ipv4Offset, knowsLinkType } from './link-layer.js';
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

  #judgeFrame(frame: Frame): Pick<Dissected, 'path' | 'verdict' | 'reason' | 'layers'> | undefined {
    const off = ipv4Offset(frame.linkType, frame.bytes);
    if (off === undefined) return undefined;
    const bytes = frame.bytes.subarray(off);
    const length = Math.min(frame.length - off, MOST_BYTES);
    if (bytes.length < MIN_HEADER_LEN) return undefined;
    const layers = this.#layers(bytes, length);
    if (protocol(bytes, 0) !== PROTOCOL_IPIP) {
      const reason = this.#judge.encap(bytes, length);
      return reason === undefined ? undefined : { path: 'encap', layers, ...named(reason) };
    }
    return { path: 'decap', layers, ...this.#judgeTunnelled(bytes, length) };
  }

  #judgeTunnelled(bytes: Uint8Array, length: number): Pick<Dissected, 'verdict' | 'reason'> {
    if (isFragment(bytes, 0)) {
      const there = totalLength(bytes, 0) <= bytes.length && headerLen(bytes, 0) >= MIN_HEADER_LEN;
      if (!there) return { verdict: 'cut' };
      const datagram = this.#reassembly.add(bytes);
      return datagram ? named(this.#judge.decap(datagram, datagram.length)) : { verdict: 'fragment' };
    }
    if (bytes.length < Math.min(length, headersLen(bytes))) return { verdict: 'cut' };
    return named(this.#judge.decap(bytes, length));
  }

  #layers(bytes: Uint8Array, length: number): string[] {
    this.#room.set(bytes.subarray(0, this.#room.length));
    this.#room.fill(0, bytes.length, Math.min(length, bytes.length + 120));
    return prettyPacket(this.#room, 0, length).split('\n');
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

/** Bytes of both headers: what the checks look at. */
function headersLen(bytes: Uint8Array): number {
  const outer = headerLen(bytes, 0);
  return outer + (outer < bytes.length ? Math.max(MIN_HEADER_LEN, headerLen(bytes, outer)) : MIN_HEADER_LEN);
}
