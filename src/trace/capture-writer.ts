/**
 * A trace as a pcapng capture: two interfaces a fan, FAN/overlay and FAN/underlay, and host/underlay for what belongs to
 * no fan. Those of a fan over VXLAN are Ethernet, both, since tcpdump reads no file of two link types: its underlay's packets
 * get a header of zeros, as the kernel has kept theirs. Packets come out in the order of time. Gives bytes; where they go is the caller's (savefiles.ts).
 */
import { ETHERNET_LEN, ETHERTYPE_IPV4 } from '../wire/vxlan.js';
import {
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  OUTBOUND,
  sectionHeader,
} from './pcapng-writer.js';
import { whyOf } from './stages.js';
import { TimeOrder } from './time-order.js';
import type { FanLine, KernelLine, PacketLine, TraceLine } from './trace-lines.js';
import { formsOf, type Side } from './wire-forms.js';

/** The longest outer packet. */
export const CAPTURE_SNAP_LEN = 65_535 + 20;
/** Of a fan that went before its packet came: what Ethernet carries. */
const USUAL_MTU = 1500;
const NS_PER_MS = 1_000_000n;

/** From nowhere to nowhere, IPv4. */
const ETHERNET_OF_IPV4 = new Uint8Array(ETHERNET_LEN);
ETHERNET_OF_IPV4[12] = ETHERTYPE_IPV4 >> 8;
const NO_LINK = new Uint8Array(0);

interface Interface {
  id: number;
  linkType: number;
  received: number;
  osDropped: number;
  /** To be told with the next packet. */
  droppedBefore: number;
  notes: string[];
}

export class CaptureWriter {
  readonly #wireSize: boolean;
  readonly #application: string;
  readonly #snapLen: number;
  readonly #interfaces = new Map<string, Interface>();
  readonly #fans = new Map<string, FanLine>();
  /** Descriptions of all interfaces, for each file; the last ones are not in the present file yet. */
  readonly #descriptions: Buffer[] = [];
  #described = 0;
  readonly #order = new TimeOrder<Buffer>();
  #lost = 0;
  #lostBefore = 0;

  /** `snapLen`: bytes of a packet at most. */
  constructor(application: string, { wireSize = false, snapLen = CAPTURE_SNAP_LEN } = {}) {
    this.#application = application;
    this.#wireSize = wireSize;
    this.#snapLen = snapLen;
  }

  /** What a file begins with, the first or another. */
  begin(): Buffer {
    this.#described = this.#descriptions.length;
    return Buffer.concat([sectionHeader(this.#application), ...this.#descriptions]);
  }

  /** Takes a line of the trace; what it adds to the file comes in blocks, in the order of time, some of them later. */
  add(line: TraceLine): Buffer[] {
    if (line.type === 'fan') {
      this.#fans.set(line.bridge, line);
      for (const side of ['overlay', 'underlay'] as const) this.#interface(line.bridge, side);
    } else if (line.type === 'packet') this.#packet(line);
    else if (line.type === 'kernel') this.#kernel(line);
    else if (line.type === 'lost') {
      this.#lost += line.records;
      this.#lostBefore += line.records;
    }
    const ready = line.type === 'mark' ? this.#order.until(BigInt(line.timeNs)) : [];
    return [...this.#newDescriptions(), ...ready];
  }

  /** What still waits, when no more lines come. */
  rest(): Buffer[] {
    return [...this.#newDescriptions(), ...this.#order.rest()];
  }

  /** What a file ends with: the statistics of each interface. What was lost was of no known one, and is told of each. */
  end(): Buffer {
    const timeNs = BigInt(Date.now()) * NS_PER_MS;
    const blocks = [...this.#interfaces.values()].map(({ id, received, osDropped, notes }) =>
      interfaceStatistics({
        interfaceId: id,
        timeNs,
        received,
        dropped: this.#lost,
        osDropped,
        comment: notes.join('; '),
      }),
    );
    return Buffer.concat(blocks);
  }

  #packet(line: PacketLine): void {
    const underlayMtu = this.#fans.get(line.bridge)?.underlayMtu ?? USUAL_MTU;
    const readNs = BigInt(line.timeNs);
    for (const form of formsOf(line, { wireSize: this.#wireSize, underlayMtu })) {
      const place = this.#interface(line.bridge, form.side);
      place.received++;
      const isLater = form.direction === OUTBOUND;
      const timeNs = isLater ? readNs + BigInt(Math.round(line.doneNs)) : readNs;
      const { direction } = form;
      const lacksLink = place.linkType === LINKTYPE_ETHERNET && form.side === 'underlay';
      const link = lacksLink ? ETHERNET_OF_IPV4 : NO_LINK;
      const bytes = Buffer.concat([link, form.bytes.subarray(0, this.#snapLen)]);
      const block = enhancedPacket({
        interfaceId: place.id,
        timeNs,
        bytes,
        length: link.length + form.length,
        direction,
        comment: [form.comment, ...place.notes].join('; '),
        dropped: place.droppedBefore + this.#lostBefore,
      });
      this.#order.add(timeNs, block);
      place.droppedBefore = 0;
      place.notes = [];
      this.#lostBefore = 0;
    }
  }

  /** There is no packet to show: the next one of the interface tells of them, and its statistics at once. */
  #kernel({ reason, bridge, packets }: KernelLine): void {
    const place = this.#interface(bridge, reason === 'tun-overflow' ? 'overlay' : 'underlay');
    const note = `kernel: dropped ${packets} packets before, ${reason}: ${whyOf(reason)}`;
    place.osDropped += packets;
    place.droppedBefore += packets;
    place.notes.push(note);
    const timeNs = BigInt(Date.now()) * NS_PER_MS;
    const { id: interfaceId, received, osDropped } = place;
    const block = interfaceStatistics({
      interfaceId,
      timeNs,
      received,
      dropped: this.#lost,
      osDropped,
      comment: note,
    });
    this.#order.add(timeNs, block);
  }

  #newDescriptions(): Buffer[] {
    const fresh = this.#descriptions.slice(this.#described);
    this.#described = this.#descriptions.length;
    return fresh;
  }

  #interface(bridge: string, side: Side): Interface {
    const name = `${bridge || 'host'}/${side}`;
    const known = this.#interfaces.get(name);
    if (known) return known;
    const fan = this.#fans.get(bridge);
    const isFramed = (fan ?? this.#fans.values().next().value)?.vxlanPort !== undefined;
    const linkType = isFramed ? LINKTYPE_ETHERNET : LINKTYPE_IPV4;
    const none = { received: 0, osDropped: 0, droppedBefore: 0, notes: [] };
    const made = { id: this.#interfaces.size, linkType, ...none };
    this.#interfaces.set(name, made);
    const device = side === 'overlay' ? fan?.tun : fan?.device;
    const description = device ?? 'what belongs to no fan';
    const snapLen = this.#snapLen + (isFramed ? ETHERNET_LEN : 0);
    this.#descriptions.push(interfaceDescription(name, description, snapLen, linkType));
    return made;
  }
}
