/**
 * Step: the kernel's VXLAN device beside the TAP of a fan over VXLAN, which has its UDP port with `io bpf`. Plain packets go
 * by it, or past it, without the daemon (native/bpf/vxlan_decap.bpf.c, vxlan_direct_decap.bpf.c). Who frames are for, programs
 * say: "external", of one VNI, so that other fans may have the same port.
 *
 * It is made down, and then has no port. The worker sets it up where it has programs for it (io/devices/vxlan-device.ts);
 * one that somebody has set down since is made anew, which the worker sees.
 * Nothing comes into the host by it: it has no address, no ARP and no IPv6, and the guard drops what passes its programs by.
 * A kernel or iproute2 that can't do this is no failure: there the worker says why it goes another way.
 */
import { FanError } from '../../base/error.js';
import { deleteLink, findLink, type Link, OWN_ALIAS } from '../links.js';
import { run } from '../run.js';
import { disableIpv6 } from '../sysctl.js';
import type { StepKind } from './step.js';

export interface VxlanDeviceData {
  readonly device: string;
  /** This host's underlay address. */
  readonly address: string;
  /** UDP. */
  readonly port: number;
  readonly vni: number;
}

/** What its program puts before a frame, for the daemon, must fit as well: the most that there is. */
const MTU = '65535';
/** As native/bpf/vxlan_encap.bpf.c chooses of: a flow has one, whichever way it goes. */
const SOURCE_PORTS = ['32768', '60999'];

export const vxlanDeviceStep: StepKind<VxlanDeviceData> = {
  describe: ({ device }) => `set up VXLAN device ${device}`,

  async apply(data) {
    const link = await findLink(data.device);
    if (link && !isOwn(link)) {
      throw new FanError('in-use', `a device ${data.device} exists and is not ours: rename or delete it`);
    }
    const isFitting = link !== undefined && isAsWanted(link, data);
    if (link && !isFitting) await deleteLink(data.device);
    try {
      if (!isFitting) await make(data);
      // Well, too, where it has it.
      await run('bridge', ['vni', 'add', 'vni', String(data.vni), 'dev', data.device]);
    } catch (error) {
      await deleteLink(data.device);
      if (!(error instanceof FanError)) throw error;
    }
  },

  async undo({ device }) {
    const link = await findLink(device);
    if (!link) return undefined;
    if (!isOwn(link)) return `device ${device} is no longer the one that ufan made: left alone`;
    await deleteLink(device);
    return undefined;
  },
};

async function make({ device, address, port }: VxlanDeviceData): Promise<void> {
  const how = ['external', 'vnifilter', 'nolearning', 'local', address, 'dstport', String(port)];
  await run('ip', ['link', 'add', 'name', device, 'type', 'vxlan', ...how, 'srcport', ...SOURCE_PORTS]);
  await disableIpv6(device);
  await run('ip', ['link', 'set', 'dev', device, 'alias', OWN_ALIAS, 'mtu', MTU, 'arp', 'off']);
}

function isOwn({ kind, alias }: Link): boolean {
  return kind === 'vxlan' && (alias === OWN_ALIAS || alias === '');
}

function isAsWanted({ alias, flags, attributes }: Link, { address, port }: VxlanDeviceData): boolean {
  if (!flags.includes('UP')) return false;
  const ports = attributes.port_range as { low?: number; high?: number } | undefined;
  if (![ports?.low, ports?.high].every((each, i) => each === Number(SOURCE_PORTS[i]))) return false;
  return alias === OWN_ALIAS && attributes.local === address && attributes.port === port;
}
