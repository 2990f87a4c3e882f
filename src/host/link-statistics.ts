/**
 * What the kernel counts for a device of our network namespace, from /proc/self/net/dev: cheap enough for a monitor
 * that asks every second, and right where /sys is another namespace's.
 */
import { readFile } from 'node:fs/promises';

const TABLE = '/proc/self/net/dev';
/** "drop" among the columns behind "name:", eight for receiving and then those for transmitting (proc(5)). */
const TRANSMIT_DROPS = 8 + 3;

/**
 * Packets that the kernel could not queue at each device since it was made, by the device's name; of a TUN, those that
 * the daemon was too slow to read.
 */
export async function readTransmitDrops(): Promise<Map<string, number>> {
  return parseTransmitDrops(await readFile(TABLE, 'utf8'));
}

/** Text of the table: two lines of titles, then one for each device. */
export function parseTransmitDrops(table: string): Map<string, number> {
  const rows = table.split('\n').slice(2);
  return new Map(
    rows.flatMap((row): [string, number][] => {
      const [, name, columns] = /^\s*(\S+):(.*)$/.exec(row) ?? [];
      const drops = columns?.trim().split(/\s+/)[TRANSMIT_DROPS];
      return name === undefined || drops === undefined ? [] : [[name, Number(drops)]];
    }),
  );
}
