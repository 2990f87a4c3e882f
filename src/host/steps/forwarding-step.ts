/**
 * Step, shared by all fans and undone last: net.ipv4.ip_forward.
 *
 * Where it was off before, `down` turns it off again, but not under the feet of something that came meanwhile and
 * forwards as well: a bridge, or a forward or postrouting chain, that did not exist at `up`. Writing ip_forward
 * also overwrites `forwarding` of each device and accept_redirects of all, so both are recorded.
 */
import { legacyTables } from '../firewall/legacy.js';
import { isOwnTable, readRuleset } from '../firewall/nft.js';
import { OWN_ALIAS, readLinks } from '../links.js';
import { ipv4Devices, readSysctl, writeSysctl } from '../sysctl.js';
import type { StepKind } from './step.js';

export interface ForwardingData {
  readonly before?: {
    readonly ipForward: string;
    /** accept_redirects of `all`. */
    readonly acceptRedirects: string;
    /** Devices (and `default`) that forwarded on their own. */
    readonly forwardingDevices: readonly string[];
  };
  /** What could need forwarding, as it was before. */
  readonly users?: readonly string[];
}

const IP_FORWARD = 'ipv4/ip_forward';
const ACCEPT_REDIRECTS = 'ipv4/conf/all/accept_redirects';

export const forwardingStep: StepKind<ForwardingData> = {
  describe: () => 'turn on IPv4 forwarding (net.ipv4.ip_forward)',

  async prepare(data) {
    if (data.before) return data;
    const before = {
      ipForward: (await readSysctl(IP_FORWARD)) ?? '0',
      acceptRedirects: (await readSysctl(ACCEPT_REDIRECTS)) ?? '0',
      forwardingDevices: await forwardingDevices(),
    };
    return { before, users: await forwardingUsers() };
  },

  async apply() {
    // Even 1 over 1 would turn on every device that somebody turned off.
    if ((await readSysctl(IP_FORWARD)) !== '1') await writeSysctl(IP_FORWARD, '1');
  },

  async undo({ before, users = [] }) {
    if (before?.ipForward !== '0' || (await readSysctl(IP_FORWARD)) !== '1') return undefined;
    const since = (await forwardingUsers()).filter((user) => !users.includes(user));
    if (since.length > 0) {
      return (
        `net.ipv4.ip_forward stays on: ${since.join(', ')} came since and may need it; ` +
        'if not: sysctl -w net.ipv4.ip_forward=0'
      );
    }
    await writeSysctl(IP_FORWARD, '0');
    await writeSysctl(ACCEPT_REDIRECTS, before.acceptRedirects);
    for (const device of before.forwardingDevices) await writeSysctl(`ipv4/conf/${device}/forwarding`, '1');
    return undefined;
  },
};

async function forwardingDevices(): Promise<string[]> {
  const devices: string[] = [];
  for (const device of await ipv4Devices()) {
    if (device !== 'all' && (await readSysctl(`ipv4/conf/${device}/forwarding`)) === '1')
      devices.push(device);
  }
  return devices;
}

/** Names of everything but ours that has to do with forwarding. */
async function forwardingUsers(): Promise<string[]> {
  const bridges = (await readLinks())
    .filter((link) => link.kind === 'bridge' && link.alias !== OWN_ALIAS)
    .map((link) => `bridge ${link.name}`);
  const chains = (await readRuleset()).chains
    .filter((chain) => chain.hook === 'forward' || chain.hook === 'postrouting')
    .filter((chain) => !isOwnTable(chain.table))
    .map((chain) => `nftables chain ${chain.family} ${chain.table} ${chain.name}`);
  const legacy = (await legacyTables()).map((table) => `iptables-legacy table ${table}`);
  return [...bridges, ...chains, ...legacy];
}
