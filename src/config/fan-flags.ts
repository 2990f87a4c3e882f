/**
 * The flags of a fan: the one list that the grammar (fan-line.ts), `fanctl help` and a test of the manual read,
 * and how options are written as flags.
 */
import { FanError } from '../base/error.js';
import { DEFAULT_VXLAN_PORT, FAN_TYPES, MAX_VNI } from '../fan/encapsulation.js';
import { isDeviceName } from './device-name.js';
import { type FanOptions, IO_MODES } from './fan-options.js';

export interface FanFlag {
  /** The word, without dashes. */
  readonly name: string;
  /** What the value is called in the help text; absent where the flag takes none. */
  readonly argument?: string;
  readonly summary: string;
  /** The flag that this one is short for, where it is: one of the two may be given. */
  readonly means?: string;
  /** Throws FanError usage where `value` is out of range. */
  set(options: FanOptions, value: string): void;
}

/** A slice has fewer addresses than this; how many fewer is known when the underlay is. */
const MAX_RESERVE = 0xff_ffff;
const MAX_TTL = 255;
const MAX_DSCP = 63;
const MAX_PORT = 65_535;
/** RFC 791 §3.2: the least that every router passes on whole; and the longest packet. */
const [LEAST_MTU, MOST_MTU] = [68, 65_535];

export const FAN_FLAGS: readonly FanFlag[] = [
  {
    name: 'dhcp',
    summary: 'serve addresses by DHCP on the bridge',
    set: (options) => {
      options.dhcp = true;
    },
  },
  {
    name: 'host-reserve',
    argument: 'N',
    summary: 'addresses that the host keeps on the bridge, .1 to .N (default 1)',
    set: (options, value) => {
      options.hostReserve = parseNumber('host-reserve', value, 1, MAX_RESERVE);
    },
  },
  {
    name: 'dhcp-range',
    argument: 'N-M',
    summary: 'DHCP gives .N to .M of the slice only (default: all behind the reserve)',
    set: (options, value) => {
      options.dhcpRange = parseRange('dhcp-range', value);
    },
  },
  {
    name: 'dns',
    summary: "with dhcp: names of every host's containers, asked of the host that owns them",
    set: (options) => {
      options.dns = true;
    },
  },
  {
    name: 'leases',
    argument: 'FILE',
    summary:
      "for dns without dhcp: the leases of another's DHCP server on the bridge, as dnsmasq writes them",
    set: (options, value) => {
      if (!/^\/\S+$/.test(value)) {
        throw new FanError('usage', `leases: "${value}" is no file: say its whole path, which has no space`);
      }
      options.leases = value;
    },
  },
  {
    name: 'bridge',
    argument: 'NAME',
    summary: 'name of the bridge, instead of the one made from the slice',
    set: (options, value) => {
      if (!isDeviceName(value)) {
        throw new FanError(
          'usage',
          `bridge: "${value}" is no device name: 1 to 15 bytes, no space, /, : or %`,
        );
      }
      if (value.endsWith('*')) {
        throw new FanError(
          'usage',
          `bridge: "${value}" ends in *, which firewalls take for any name that begins so`,
        );
      }
      options.bridge = value;
    },
  },
  {
    name: 'ttl',
    argument: 'N|inherit',
    summary: "outer TTL, 1 to 255, or the inner packet's (default)",
    set: (options, value) => {
      if (value !== 'inherit') options.ttl = parseNumber('ttl', value, 1, MAX_TTL, 'inherit');
    },
  },
  {
    name: 'dscp',
    argument: 'N|inherit',
    summary: "outer DSCP, 0 to 63, or the inner packet's (default)",
    set: (options, value) => {
      if (value !== 'inherit') options.dscp = parseNumber('dscp', value, 0, MAX_DSCP, 'inherit');
    },
  },
  {
    name: 'min-path-mtu',
    argument: 'N',
    summary: 'believe ICMP of a path MTU down to N, outer header included, 68 to 65535 (default 576)',
    set: (options, value) => {
      options.minPathMtu = parseNumber('min-path-mtu', value, LEAST_MTU, MOST_MTU);
    },
  },
  {
    name: 'no-fragment',
    summary: 'drop a packet too big for the path and without DF, instead of sending outer fragments',
    set: (options) => {
      options.fragment = false;
    },
  },
  {
    name: 'no-mss-clamp',
    summary: "leave the segment size that TCP announces through the fan's bridge as it is",
    set: (options) => {
      options.clampMss = false;
    },
  },
  {
    name: 'foreign-sources',
    summary: 'let containers send from addresses outside the overlay, as those that route do',
    set: (options) => {
      options.foreignSources = true;
    },
  },
  {
    name: 'isolate',
    summary: "no container takes a neighbour's or the gateway's MAC or IPv4 address on the bridge",
    set: (options) => {
      options.isolate = true;
    },
  },
  {
    name: 'notrack',
    summary: 'keep what goes from slice to slice out of connection tracking',
    set: (options) => {
      options.notrack = true;
    },
  },
  {
    name: 'no-heal',
    summary: 'leave what somebody else takes away from the fan, and only say so (see "show")',
    set: (options) => {
      options.heal = false;
    },
  },
  {
    name: 'follow-address',
    summary: 'when the underlay device gets another address, move the fan to its slice',
    set: (options) => {
      options.followAddress = true;
    },
  },
  {
    name: 'off',
    summary: 'in /etc/network/fan: leave the line alone',
    set: (options) => {
      options.off = true;
    },
  },
  {
    name: 'auto',
    summary: 'taken in /etc/network/fan, where it says nothing more: fans of up -a carry it',
    set: (options) => {
      options.auto = true;
    },
  },
  {
    name: 'debug',
    summary: 'log what is done for this fan in detail',
    set: (options) => {
      options.debug = true;
    },
  },
  {
    name: 'io',
    argument: IO_MODES.join('|'),
    summary: 'how packets get on and off the underlay (default auto)',
    set: (options, value) => {
      const mode = IO_MODES.find((known) => known === value);
      if (!mode) throw new FanError('usage', `io: "${value}" is no mode: say ${IO_MODES.join(' or ')}`);
      options.io = mode;
    },
  },
  {
    name: 'type',
    argument: FAN_TYPES.join('|'),
    summary: 'how packets travel: as IP-in-IP (default), or in VXLAN as in the fans of Ubuntu and LXD',
    set: (options, value) => {
      const type = FAN_TYPES.find((known) => known === value);
      if (!type) throw new FanError('usage', `type: "${value}" is none: say ${FAN_TYPES.join(' or ')}`);
      options.type = type;
    },
  },
  {
    name: 'vxlan',
    summary: 'the same as type vxlan',
    means: 'type',
    set: (options) => {
      options.type = 'vxlan';
    },
  },
  {
    name: 'ipip',
    summary: 'the same as type ipip',
    means: 'type',
    set: (options) => {
      options.type = 'ipip';
    },
  },
  {
    name: 'vni',
    argument: 'N',
    summary: `of type vxlan: its number, 1 to ${MAX_VNI} (default: the overlay's first three octets)`,
    set: (options, value) => {
      options.vni = parseNumber('vni', value, 1, MAX_VNI);
    },
  },
  {
    name: 'port',
    argument: 'N',
    summary: `of type vxlan: its UDP port (default ${DEFAULT_VXLAN_PORT})`,
    set: (options, value) => {
      options.port = parseNumber('port', value, 1, MAX_PORT);
    },
  },
  {
    name: 'layer2',
    summary: 'of type vxlan: give containers the whole overlay on link, as LXD does, instead of routing it',
    set: (options) => {
      options.layer2 = true;
    },
  },
];

/** The options as `show` prints them, in words that parseFanWords takes back: "dhcp host-reserve 1". */
export function formatFlags(options: Readonly<FanOptions>): string {
  return flagsOf(options).join(' ');
}

/** Each flag with its value: ["dhcp", "host-reserve 1"]. */
export function flagsOf(options: Readonly<FanOptions>): string[] {
  const words = options.dhcp ? ['dhcp'] : [];
  words.push(`host-reserve ${options.hostReserve}`);
  if (options.dhcpRange) words.push(`dhcp-range ${options.dhcpRange.join('-')}`);
  // A fand before 0.3 recorded nothing of it.
  if (options.dns) words.push('dns');
  if (options.leases !== undefined) words.push(`leases ${options.leases}`);
  if (options.bridge !== undefined) words.push(`bridge ${options.bridge}`);
  if (options.ttl !== undefined) words.push(`ttl ${options.ttl}`);
  if (options.dscp !== undefined) words.push(`dscp ${options.dscp}`);
  if (options.minPathMtu !== undefined) words.push(`min-path-mtu ${options.minPathMtu}`);
  if (!options.fragment) words.push('no-fragment');
  // A record of a fand before 0.2 says nothing of it.
  if (options.clampMss === false) words.push('no-mss-clamp');
  if (options.foreignSources) words.push('foreign-sources');
  if (options.isolate) words.push('isolate');
  if (options.notrack) words.push('notrack');
  // A fand before 0.2.0 recorded neither.
  if (options.heal === false) words.push('no-heal');
  if (options.followAddress) words.push('follow-address');
  if (options.off) words.push('off');
  if (options.auto) words.push('auto');
  if (options.debug) words.push('debug');
  if (options.io !== 'auto') words.push(`io ${options.io}`);
  // A fand before 0.2.0 recorded none of these.
  if (options.type === 'vxlan') words.push('type vxlan');
  if (options.vni !== undefined) words.push(`vni ${options.vni}`);
  if (options.port !== undefined) words.push(`port ${options.port}`);
  if (options.layer2) words.push('layer2');
  return words;
}

/** Throws FanError usage where flags contradict each other. */
export function requireAgreeing(options: Readonly<FanOptions>): void {
  const { type, vni, port, layer2, io, isolate, notrack } = options;
  if (layer2 && isolate) {
    throw new FanError(
      'usage',
      'layer2 and isolate: by the port of the tunnel come many addresses; leave one of them out',
    );
  }
  if (layer2 && notrack) {
    throw new FanError(
      'usage',
      'layer2 and notrack: the bridge carries what goes from slice to slice, not the host; leave notrack out',
    );
  }
  if (type === 'vxlan') {
    if (io !== 'packet') return;
    throw new FanError(
      'usage',
      'io packet is for type ipip: with vxlan say io bpf, io raw (UDP sockets), or leave it out',
    );
  }
  const told = [
    ['vni', vni !== undefined] as const,
    ['port', port !== undefined] as const,
    ['layer2', layer2] as const,
  ];
  const [name] = told.find(([, isTold]) => isTold) ?? [];
  if (name)
    throw new FanError(
      'usage',
      `${name} is of type vxlan, and this fan is of type ipip: add "vxlan" or leave it out`,
    );
}

/** Two numbers that follow the slice's own address, the second not below the first. */
function parseRange(name: string, text: string): [number, number] {
  const words = text.split('-');
  if (words.length === 2) {
    const [first, last] = words.map((word) => parseNumber(name, word, 1, MAX_RESERVE));
    if (first! <= last!) return [first!, last!];
  }
  throw new FanError(
    'usage',
    `${name}: "${text}" is no range: say two numbers within the slice, as in ${name} 2-127`,
  );
}

/** Decimal, no sign and no leading zero. `word` is what may stand instead of a number. */
function parseNumber(name: string, text: string, min: number, max: number, word?: string): number {
  const value = /^(?:0|[1-9][0-9]{0,8})$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const instead = word === undefined ? '' : ` or ${word}`;
  throw new FanError(
    'usage',
    `${name}: "${text}" is out of range: say a number from ${min} to ${max}${instead}`,
  );
}
