/**
 * FlowFilter the slow way: makes every packet that the known bits allow, of every length, and runs the filter on each.
 * For few open bits.
 */
import type { KnownPacket } from '../../../src/wire/flow-filter.js';
import { PacketFilter } from '../../../src/wire/packet-filter.js';

/** Whether a packet of these bits passes, of up to as many bytes. */
export function anyMatches(program: readonly number[], { bytes, known }: KnownPacket): boolean {
  const filter = new PacketFilter(program);
  const open = [...known].flatMap((mask, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (mask & (1 << bit)) === 0).map((bit) => [i, 1 << bit] as const),
  );
  for (let choice = 0; choice < 2 ** open.length; choice++) {
    const packet = bytes.map((byte, i) => byte & known[i]!);
    for (const [n, [i, bit]] of open.entries()) if (choice & (1 << n)) packet[i]! |= bit;
    for (let length = 0; length <= packet.length; length++) {
      if (filter.matches(packet, 0, length)) return true;
    }
  }
  return false;
}
