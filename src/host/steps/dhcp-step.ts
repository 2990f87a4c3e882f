/**
 * Step: dnsmasq on the bridge, which gives containers their address, router, DNS server and MTU (RFC 2131, RFC 2132).
 *
 * It binds to the bridge alone, DHCP by SO_BINDTODEVICE: a second DHCP server on the underlay could take a whole
 * data centre down. No file of the host configures it.
 *
 * Where a resolver of the host holds port 53 of every address, dnsmasq leaves DNS to it and serves DHCP alone; containers
 * are told to ask the gateway all the same, where that resolver hears them.
 */
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatAddress } from '../../addr/ipv4-address.js';
import { maskOf, parsePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { NAME_DOMAIN, NAME_PORT } from '../../base/name-port.js';
import { requireOwnDir } from '../../base/own-files.js';
import { reverseZones } from '../../fan/owner-name.js';
import { isPortFree } from '../free-port.js';
import { isNoted } from '../rehearsal.js';
import {
  findDnsmasq,
  isDnsTaken,
  type Process,
  pidFileOption,
  processOf,
  startDnsmasq,
  stopDnsmasq,
} from './dnsmasq.js';
import type { StepKind } from './step.js';

export interface DhcpData {
  readonly bridge: string;
  readonly gateway: string;
  /** First and last address to give away. */
  readonly first: string;
  readonly last: string;
  /** How many these are. */
  readonly count: number;
  /** Prefix length of the slice. */
  readonly length: number;
  readonly mtu: number;
  /** The overlay of whose other hosts names are resolved, by fand at the gateway; undefined: of this host's alone. */
  readonly namesOf?: string;
  /** Directory for the pid file. */
  readonly runDir: string;
  /** Directory for the lease file, which outlives a boot. A fand before 0.2.0 had it in `runDir`, and recorded none. */
  readonly leaseDir?: string;
  /** `down` leaves the leases to the next `up`: containers that have them are still there. */
  readonly keepLeases?: boolean;
  /** The dnsmasq that serves: known since it was started, so that nothing it writes later is believed. */
  readonly server?: Process;
}

const LEASE_TIME = '1h';
const MTU_OPTION = 26;
const DNS = 53;
/** dnsmasq's own limit is 1000; beyond this its lease file becomes the bottleneck. */
const MOST_LEASES = 65_536;
/** dnsmasq takes lists and patterns where it takes a device name. */
const PATTERN = /[,*]/;

export const dhcpStep: StepKind<DhcpData> = {
  describe: ({ bridge }) => `serve DHCP on ${bridge}`,

  async prepare(data) {
    if (PATTERN.test(data.bridge)) {
      throw new FanError(
        'usage',
        `dnsmasq cannot serve a bridge called "${data.bridge}": choose a name without , and *`,
      );
    }
    return data;
  },

  async apply(data) {
    const pidFile = pidFileOf(data);
    const server = await findServer(data);
    if (server && !(await isWithoutDns(server, data))) return;
    await stopDnsmasq(pidFile, data.server);
    const leaseDir = dirname(leaseFileOf(data));
    if (!isNoted('mkdir', '-p', leaseDir)) {
      await requireOwnDir(leaseDir);
      await mkdir(leaseDir, { recursive: true, mode: 0o755 });
    }
    await takeOver(leaseFileOf(data));
    try {
      await startDnsmasq(pidFile, argumentsOf(data));
    } catch (error) {
      if (!isDnsTaken(error)) throw error;
      await startDnsmasq(pidFile, argumentsOf(data, 'dhcp'));
    }
  },

  async settle({ server: _, ...data }) {
    const pid = (await findServer(data))?.pid;
    const server = pid === undefined ? undefined : await processOf(pid);
    return server ? { ...data, server } : data;
  },

  async remark(data) {
    if ((await findServer(data))?.serves !== 'dhcp') return undefined;
    return `port ${DNS} of ${data.gateway} is another program's: containers get DNS from that one, if it answers them`;
  },

  async undo(data) {
    await stopDnsmasq(pidFileOf(data), data.server);
    const leaseFile = leaseFileOf(data);
    if (data.keepLeases || isNoted('rm', '-f', leaseFile)) return undefined;
    await rm(leaseFile, { force: true });
    return undefined;
  },
};

/**
 * A fand that had more privileges let dnsmasq give the file to its own user; ours opens it as root, who without
 * CAP_DAC_OVERRIDE may only write what is root's. So the file is made anew, with the leases.
 */
async function takeOver(leaseFile: string): Promise<void> {
  const owner = await stat(leaseFile).then(
    ({ uid }) => uid,
    () => undefined,
  );
  if (owner === undefined || owner === process.geteuid?.()) return;
  await copyFile(leaseFile, `${leaseFile}.new`);
  await rename(`${leaseFile}.new`, leaseFile);
}

/** What a dnsmasq serves on the bridge: DHCP, and DNS unless somebody else does. */
export type Service = 'dhcp and dns' | 'dhcp';

export interface DhcpServer {
  readonly pid: number;
  readonly serves: Service;
}

/** The dnsmasq that serves exactly this; undefined where none does. */
export async function findServer(data: DhcpData): Promise<DhcpServer | undefined> {
  for (const serves of ['dhcp and dns', 'dhcp'] as const) {
    const pid = await findDnsmasq(pidFileOf(data), data.server, argumentsOf(data, serves));
    if (pid !== undefined) return { pid, serves };
  }
  return undefined;
}

/** Whether nobody answers for DNS any more: who held the port is gone. */
export async function isWithoutDns({ serves }: DhcpServer, { gateway }: DhcpData): Promise<boolean> {
  return serves === 'dhcp' && (await isPortFree(gateway, DNS));
}

/** Where the leases of a fan stand, in dnsmasq's own format. */
export function leaseFileOf({
  runDir,
  leaseDir = runDir,
  bridge,
}: Pick<DhcpData, 'runDir' | 'leaseDir' | 'bridge'>) {
  return `${leaseDir}/dnsmasq-${bridge}.leases`;
}

function pidFileOf({ runDir, bridge }: DhcpData): string {
  return `${runDir}/dnsmasq-${bridge}.pid`;
}

/** The whole configuration: --conf-file=/dev/null keeps the host's own out. */
export function argumentsOf(data: DhcpData, serves: Service = 'dhcp and dns'): string[] {
  const pidFile = pidFileOf(data);
  const mask = formatAddress(maskOf(data.length));
  return [
    '--conf-file=/dev/null',
    pidFileOption(pidFile),
    `--dhcp-leasefile=${leaseFileOf(data)}`,
    `--interface=${data.bridge}`,
    '--except-interface=lo',
    '--bind-interfaces',
    '--no-hosts',
    '--dhcp-authoritative',
    `--dhcp-range=${data.first},${data.last},${mask},${LEASE_TIME}`,
    `--dhcp-lease-max=${Math.min(data.count, MOST_LEASES)}`,
    `--dhcp-option=option:router,${data.gateway}`,
    `--dhcp-option=${MTU_OPTION},${data.mtu}`,
    ...(data.namesOf === undefined ? [] : namesOption(data.gateway, data.namesOf)),
    ...(serves === 'dhcp' ? ['--port=0', `--dhcp-option=option:dns-server,${data.gateway}`] : []),
  ];
}

/** What dnsmasq does not know of the fan's names, of the overlay's addresses, and of names without a dot, fand is asked. */
function namesOption(gateway: string, overlay: string): string[] {
  const zones = [NAME_DOMAIN, '', ...reverseZones(parsePrefix(overlay))];
  return [`--domain=${NAME_DOMAIN}`, ...zones.map((zone) => `--server=/${zone}/${gateway}#${NAME_PORT}`)];
}
