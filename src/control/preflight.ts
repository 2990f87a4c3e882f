/**
 * What a machine must have before fanatic touches anything: programs, nftables that may be changed, the TUN device, and
 * CAP_NET_ADMIN; and what it can do without, such as BPF. In a container one or the other is often missing.
 */
import { open, readFile } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import { isInstalled, run } from '../host/run.js';

/** UFAN_TUN: for tests, which can't take the machine's own away. */
const tunDevice = (): string => process.env.UFAN_TUN || '/dev/net/tun';
const NET_ADMIN = 12n;
const NET_RAW = 13n;
const SYS_ADMIN = 21n;
const BPF = 39n;
/** Of a user namespace that is the machine's own: every user is the one outside. */
const ALL_USERS = /^\s*0\s+0\s+4294967295\s*$/;
const ONE_USER = /^\s*\d+\s+\d+\s+1\s*$/;

/** Throws FanError unsupported, which names all that is missing; returns what the operator should know. */
export async function requireMachine({ dhcp }: { readonly dhcp: boolean }): Promise<string[]> {
  const own = await readCapabilities();
  const missing = [
    ...(await missingPrograms(dhcp)),
    ...(own.has(NET_ADMIN) && own.has(NET_RAW) ? [] : ['CAP_NET_ADMIN and CAP_NET_RAW']),
    ...(dhcp && own.hasOneUser
      ? ['a user beside root, for dnsmasq: give the container a range of them']
      : []),
  ];
  if (missing.length === 0) missing.push(...(await missingDevices()));
  if (missing.length > 0) {
    const where = own.isContained ? 'this container, which is unprivileged, lacks' : 'this host lacks';
    throw new FanError('unsupported', `a fan can't be set up, ${where}: ${missing.join('; ')}`);
  }
  if (!own.isContained && (own.has(BPF) || own.has(SYS_ADMIN))) return [];
  const why = own.isContained ? 'in an unprivileged container' : 'without CAP_BPF';
  return [noBpf(why)];
}

export function noBpf(why: string): string {
  return `no BPF ${why}: fand takes every packet itself, which is slower (io raw, or packet)`;
}

async function missingPrograms(dhcp: boolean): Promise<string[]> {
  const wanted = [
    ['ip', 'iproute2'],
    ['nft', 'nftables'],
    ...(dhcp ? [['dnsmasq', 'dnsmasq-base']] : []),
  ] as const;
  const found = await Promise.all(wanted.map(async ([program]) => isInstalled(program!)));
  return wanted
    .filter((_, i) => !found[i])
    .map(([program, name]) => `the program ${program} (apt-get install ${name})`);
}

async function missingDevices(): Promise<string[]> {
  const tun = tunDevice();
  const noTun = await open(tun, 'r+').then(
    (file) => file.close().then(() => undefined),
    (error) => `${tun} (${errorText(error)}): modprobe tun, or give it to the container`,
  );
  const noTables = await run('nft', ['list', 'tables']).then(
    () => undefined,
    (error) => `nftables (${errorText(error)})`,
  );
  return [noTun, noTables].filter((each) => each !== undefined);
}

interface Capabilities {
  has(bit: bigint): boolean;
  readonly isContained: boolean;
  /** Root, and nobody beside. */
  readonly hasOneUser: boolean;
}

async function readCapabilities(): Promise<Capabilities> {
  const [status, users] = await Promise.all(
    ['status', 'uid_map'].map((name) => readFile(`/proc/self/${name}`, 'utf8').catch(() => '')),
  );
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(status!)?.[1] ?? '0'}`);
  return {
    has: (bit) => ((effective >> bit) & 1n) === 1n,
    isContained: users !== '' && !ALL_USERS.test(users!),
    hasOneUser: ONE_USER.test(users!),
  };
}
