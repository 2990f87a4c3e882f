/** What the kernel counts of IP and TCP for our network namespace, from /proc/self/net/netstat (proc(5)). */
import { readFileSync } from 'node:fs';

const TABLE = '/proc/self/net/netstat';

/** Since the namespace was made; 0 on a kernel that does not count it. */
export function readNetstat(group: 'IpExt' | 'TcpExt', name: string): number {
  const [names = [], values = []] = readFileSync(TABLE, 'latin1')
    .split('\n')
    .filter((line) => line.startsWith(`${group}:`))
    .map((line) => line.split(' '));
  const at = names.indexOf(name);
  return at < 0 ? 0 : Number(values[at]);
}
