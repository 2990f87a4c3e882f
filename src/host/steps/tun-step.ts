/**
 * Step: the TUN that overlay packets leave and enter the kernel by. Persistent: it and its route outlive a daemon
 * that crashed; the daemon attaches to it with IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, and IFF_MULTI_QUEUE where it has
 * several workers. A device is made for one of the two: restored with the other, it is made anew.
 *
 * It carries the gateway address as a /32 beside the bridge. So the overlay's route, whose preferred source that is,
 * stays when somebody re-addresses the bridge, and what is masqueraded into this overlay from another fan's slice gets
 * a source that the overlay can answer.
 */
import { access } from 'node:fs/promises';
import { parseAddress } from '../../addr/ipv4-address.js';
import { FanError } from '../../base/error.js';
import {
  deleteLink,
  ensureAddress,
  findLink,
  type Link,
  linkNamed,
  OWN_ALIAS,
  readDevices,
} from '../links.js';
import { run } from '../run.js';
import { disableIpv6 } from '../sysctl.js';
import type { StepKind } from './step.js';
import { configureTap, type TapData } from './tap-device.js';

export interface TunData {
  readonly tun: string;
  readonly mtu: number;
  readonly gateway: string;
  /** One a worker; a fand that knew of one only recorded none. */
  readonly queues?: number;
  /** Set where it is a TAP, of a VXLAN fan. */
  readonly tap?: TapData;
  /** Set once the name was found free or ours. */
  readonly claimed?: boolean;
}

const CONTROL_DEVICE = '/dev/net/tun';
/** Packets that may wait for the daemon; the kernel's 500 for a TUN is a modem's. */
const QUEUE_LENGTH = 1000;

export const tunStep: StepKind<TunData> = {
  describe: ({ tun, tap }) => `set up ${tap ? 'TAP' : 'TUN'} device ${tun}`,

  async prepare(data) {
    const link = data.claimed ? undefined : await findLink(data.tun);
    if (link && link.alias !== OWN_ALIAS) throw taken(data.tun);
    return { ...data, claimed: true };
  },

  async apply({ tun, mtu, gateway, queues = 1, tap }) {
    await requireControlDevice();
    await ensureTun(tun, tap ? 'tap' : 'tun', queues > 1);
    await (tap ? configureTap(tun, tap) : disableIpv6(tun));
    const settings = ['alias', OWN_ALIAS, 'mtu', String(mtu), 'txqueuelen', String(QUEUE_LENGTH)];
    await run('ip', ['link', 'set', 'dev', tun, ...settings, 'up']);
    const { links, addresses } = await readDevices();
    if (tap?.bridge === undefined) await ensureAddress(addresses, tun, parseAddress(gateway), 32);
    const now = linkNamed(links, tun);
    if (now?.mtu === mtu && now.flags.includes('UP')) return;
    throw new FanError(
      'step-failed',
      `${tun} is not as it was set: MTU ${now?.mtu}, ${now?.flags.join(' ')}`,
    );
  },

  async undo({ tun, tap }) {
    const link = await findLink(tun);
    if (!link) return undefined;
    if (!isA(link, tap ? 'tap' : 'tun'))
      return `device ${tun} is no longer the one that ufan made: left alone`;
    await deleteLink(tun);
    return undefined;
  },
};

/** A TUN that was made with several queues refuses a user of one, and the other way about. */
async function ensureTun(tun: string, mode: 'tun' | 'tap', multiQueue: boolean): Promise<void> {
  const link = await findLink(tun);
  const isFitting = link !== undefined && isA(link, mode) && isMultiQueue(link) === multiQueue;
  if (isFitting) return;
  if (link) {
    if (link.kind !== 'tun' || link.alias !== OWN_ALIAS) throw taken(tun);
    await deleteLink(tun);
  }
  const queues = multiQueue ? ['multi_queue'] : [];
  await run('ip', ['tuntap', 'add', 'dev', tun, 'mode', mode, 'vnet_hdr', ...queues]);
}

function isA(link: Link, mode: 'tun' | 'tap'): boolean {
  return link.kind === 'tun' && link.attributes.type === mode;
}

function isMultiQueue(link: Link): boolean {
  return link.attributes.multi_queue === true;
}

async function requireControlDevice(): Promise<void> {
  try {
    await access(CONTROL_DEVICE);
  } catch (cause) {
    throw new FanError(
      'unsupported',
      `${CONTROL_DEVICE} is missing: modprobe tun, or in a container hand the device in (or mknod ${CONTROL_DEVICE} c 10 200)`,
      { cause },
    );
  }
}

function taken(tun: string): FanError {
  return new FanError(
    'in-use',
    `a device ${tun} exists and is not ours: remove it (ip link delete dev ${tun}) or rename it`,
  );
}
