/**
 * Who receives by a UDP port of this host: a VXLAN device of the kernel, or a program's socket. So that a fan over VXLAN
 * is refused with a name and a remedy, instead of a bare EADDRINUSE.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { formatAddress } from '../addr/ipv4-address.js';
import { readLinks } from './links.js';

/** The kernel's own table of sockets, of our network namespace. */
const UDP_SOCKETS = '/proc/thread-self/net/udp';
const ANY = 0;
const OURS = Symbol('ours');

interface Socket {
  /** u32 in host order. */
  readonly address: number;
  readonly port: number;
  readonly inode: string;
}

/**
 * In words, who has `port` at `address` (u32) or at every address; undefined where nobody has. Devices in `ours` and
 * sockets of the process `pid` don't count.
 */
export async function portHolder(
  port: number,
  address: number,
  ours: ReadonlySet<string>,
  pid = process.pid,
): Promise<string | undefined> {
  const isRival = (local: unknown): boolean =>
    local === undefined || local === 'any' || local === '0.0.0.0' || local === formatAddress(address);
  const devices = (await readLinks()).filter(
    ({ kind, flags, attributes }) =>
      kind === 'vxlan' && flags.includes('UP') && attributes.port === port && isRival(attributes.local),
  );
  const device = devices.find(({ name }) => !ours.has(name));
  if (device) return `${device.name}, a VXLAN device of the kernel`;
  const sockets = (await readSockets()).filter(
    (each) => each.port === port && (each.address === ANY || each.address === address),
  );
  for (const { inode } of sockets) {
    const program = await programOf(inode, pid);
    // No process has the socket of a device.
    if (program === undefined && devices.length > 0) continue;
    if (program !== OURS) return program ?? `another program (ss -lnup sport = :${port} names it)`;
  }
  return undefined;
}

async function readSockets(): Promise<Socket[]> {
  const [, ...rows] = (await readFile(UDP_SOCKETS, 'latin1')).trim().split('\n');
  return rows.map((row) => {
    const words = row.trim().split(/\s+/);
    const [address = '0', port = '0'] = (words[1] ?? '').split(':');
    return { address: hostOrder(address), port: Number.parseInt(port, 16), inode: words[9] ?? '0' };
  });
}

/** The kernel prints the word as this machine reads it. */
function hostOrder(hex: string): number {
  const bytes = new DataView(new Uint32Array([Number.parseInt(hex, 16)]).buffer);
  return bytes.getUint32(0);
}

/**
 * "snmpd (pid 12)"; OURS of the process `ours`. Whose descriptors they are takes CAP_SYS_PTRACE to see, which fand gives
 * up: undefined then, and where no process has it.
 */
async function programOf(inode: string, ours: number): Promise<string | typeof OURS | undefined> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  for (const pid of pids) {
    if (!(await holds(pid, inode))) continue;
    if (Number(pid) === ours) return OURS;
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    return `${name.trim() || 'a program'} (pid ${pid})`;
  }
  return undefined;
}

async function holds(pid: string, inode: string): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  const fds = await readdir(directory).catch(() => []);
  for (const fd of fds) {
    const target = await readlink(`${directory}/${fd}`).catch(() => '');
    if (target === `socket:[${inode}]`) return true;
  }
  return false;
}
