/**
 * Slow reference for segmentation and for the checksums of TCP and UDP: byte by byte, no state, nothing shared with
 * native/. RFC 1071, 9293, 768.
 */

export const TCP = 6;
export const UDP = 17;

/** What a flow's packets have in common, and where its first byte stands. */
export interface Flow {
  protocol: typeof TCP | typeof UDP;
  sourcePort: number;
  id: number;
  df: boolean;
  seq: number;
  /** TCP option bytes, a multiple of 4. */
  options: number;
}

export function slowChecksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

function pseudoSum(packet: Uint8Array): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let sum = packet[9]! + packet.length - 20;
  for (let i = 12; i < 20; i += 2) sum += view.getUint16(i);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

export function headerLength({ protocol, options }: Flow): number {
  return protocol === TCP ? 40 + options : 28;
}

export function checksumOffset({ protocol }: Flow): number {
  return protocol === TCP ? 16 : 6;
}

/**
 * One packet of the flow with `payload` at `done` bytes after its start, as the `nth` packet. `partial` leaves the
 * pseudo-header's sum in the checksum field, as the kernel's own packets do.
 */
export function buildPacket(
  flow: Flow,
  payload: Uint8Array,
  at: { done: number; nth: number; flags?: number; partial?: boolean },
): Uint8Array {
  const header = headerLength(flow);
  const packet = new Uint8Array(header + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  view.setUint16(4, (flow.id + at.nth) % 0x10000);
  view.setUint16(6, flow.df ? 0x4000 : 0);
  packet[8] = 60;
  packet[9] = flow.protocol;
  packet.set([250, 0, 28, 2, 250, 0, 27, 2], 12);
  view.setUint16(10, slowChecksum(packet.subarray(0, 20)));
  view.setUint16(20, flow.sourcePort);
  view.setUint16(22, 443);
  if (flow.protocol === TCP) {
    view.setUint32(24, (flow.seq + at.done) % 2 ** 32);
    view.setUint32(28, 12345);
    packet[32] = ((20 + flow.options) / 4) << 4;
    packet[33] = at.flags ?? 0x10;
    view.setUint16(34, 501);
    packet.fill(1, 40, header);
  } else {
    view.setUint16(24, packet.length - 20);
  }
  packet.set(payload, header);
  const pseudo = pseudoSum(packet);
  const full = slowChecksum(packet.subarray(20), pseudo);
  view.setUint16(
    20 + checksumOffset(flow),
    at.partial ? pseudo : full || (flow.protocol === UDP ? 0xffff : 0),
  );
  return packet;
}

/** The packets that a super-packet of `payload` is cut into; FIN and PSH stay with the last. */
export function slowSegment(flow: Flow, payload: Uint8Array, gsoSize: number, flags = 0x10): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let done = 0; done < payload.length; done += gsoSize) {
    const last = done + gsoSize >= payload.length;
    const part = payload.subarray(done, done + gsoSize);
    packets.push(buildPacket(flow, part, { done, nth: packets.length, flags: last ? flags : flags & ~0x09 }));
  }
  return packets;
}
