/**
 * A trace as a pcapng capture: two interfaces a fan, FAN/overlay and FAN/underlay, and host/underlay for what belongs to
 * no fan. Gives bytes; where they go is the caller's.
 */
import {
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  OUTBOUND,
  sectionHeader,
} from './pcapng-writer.js';
import { whyOf } from './stages.js';
import type { FanLine, KernelLine, PacketLine, TraceLine } from './trace-lines.js';
import { formsOf, type Side } from './wire-forms.js';

/** The longest outer packet. */
export const CAPTURE_SNAP_LEN = 65_535 + 20;
/** Of a fan that went before its packet came: what Ethernet carries. */
const USUAL_MTU = 1500;
const NS_PER_MS = 1_000_000n;

interface Interface {
  id: number;
  received: number;
  osDropped: number;
  /** To be told with the next packet. */
  droppedBefore: number;
  notes: string[];
}

export class CaptureWriter {
  readonly #wireSize: boolean;
  readonly #application: string;
  readonly #interfaces = new Map<string, Interface>();
  readonly #fans = new Map<string, FanLine>();
  #lost = 0;
  #lostBefore = 0;

  constructor(application: string, wireSize: boolean) {
    this.#application = application;
    this.#wireSize = wireSize;
  }

  begin(): Buffer {
    return sectionHeader(this.#application);
  }

  /** What a line of the trace adds to the file. */
  add(line: TraceLine): Buffer {
    const blocks: Buffer[] = [];
    if (line.type === 'fan') {
      this.#fans.set(line.bridge, line);
      for (const side of ['overlay', 'underlay'] as const) this.#interface(line.bridge, side, blocks);
    } else if (line.type === 'packet') this.#packet(line, blocks);
    else if (line.type === 'kernel') this.#kernel(line, blocks);
    else if (line.type === 'lost') {
      this.#lost += line.records;
      this.#lostBefore += line.records;
    }
    return Buffer.concat(blocks);
  }

  /** The statistics of each interface; what was lost was of no known one, and is told of each. */
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

  #packet(line: PacketLine, blocks: Buffer[]): void {
    const underlayMtu = this.#fans.get(line.bridge)?.underlayMtu ?? USUAL_MTU;
    const timeNs = BigInt(line.timeNs);
    for (const form of formsOf(line, { wireSize: this.#wireSize, underlayMtu })) {
      const place = this.#interface(line.bridge, form.side, blocks);
      place.received++;
      const isLater = form.direction === OUTBOUND;
      const { bytes, length, direction } = form;
      blocks.push(
        enhancedPacket({
          interfaceId: place.id,
          timeNs: isLater ? timeNs + BigInt(Math.round(line.doneNs)) : timeNs,
          bytes,
          length,
          direction,
          comment: [form.comment, ...place.notes].join('; '),
          dropped: place.droppedBefore + this.#lostBefore,
        }),
      );
      place.droppedBefore = 0;
      place.notes = [];
      this.#lostBefore = 0;
    }
  }

  /** There is no packet to show: the next one of the interface tells of them, and its statistics at once. */
  #kernel({ reason, bridge, packets }: KernelLine, blocks: Buffer[]): void {
    const place = this.#interface(bridge, reason === 'tun-overflow' ? 'overlay' : 'underlay', blocks);
    const note = `kernel: dropped ${packets} packets before, ${reason}: ${whyOf(reason)}`;
    place.osDropped += packets;
    place.droppedBefore += packets;
    place.notes.push(note);
    blocks.push(
      interfaceStatistics({
        interfaceId: place.id,
        timeNs: BigInt(Date.now()) * NS_PER_MS,
        received: place.received,
        dropped: this.#lost,
        osDropped: place.osDropped,
        comment: note,
      }),
    );
  }

  #interface(bridge: string, side: Side, blocks: Buffer[]): Interface {
    const name = `${bridge || 'host'}/${side}`;
    const known = this.#interfaces.get(name);
    if (known) return known;
    const made = { id: this.#interfaces.size, received: 0, osDropped: 0, droppedBefore: 0, notes: [] };
    this.#interfaces.set(name, made);
    const fan = this.#fans.get(bridge);
    const device = side === 'overlay' ? fan?.tun : fan?.device;
    blocks.push(interfaceDescription(name, device ?? 'what belongs to no fan', CAPTURE_SNAP_LEN));
    return made;
  }
}
