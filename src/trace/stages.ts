/**
 * What a traced packet went through, stage by stage, as the files of the dataplane name the steps: encap-path.ts check,
 * map, fit, header; decap-path.ts outer, inner, source, target, ecn; before them it is read or received, behind them
 * sent or written. Nothing is judged again here: the verdict is the dataplane's, and a stage that it does not name was
 * passed if it comes before the one that it names.
 */
import { getSystemErrorName } from 'node:util';
import { formatAddress } from '../addr/ipv4-address.js';
import { DROP_REASONS, type DropReasonName } from '../base/drop-reason.js';
import { createIcmpError, readIcmpError } from '../wire/icmpv4.js';
import {
  destination,
  dontFragment,
  id,
  MIN_HEADER_LEN,
  PROTOCOL_UDP,
  protocol,
  read16,
  tos,
  ttl,
} from '../wire/ipv4.js';
import {
  PATH_HOST_UNREACHABLE,
  PATH_PARAMETER_PROBLEM,
  PATH_TOO_BIG,
  pathErrorOf,
} from '../wire/path-error.js';
import { DATAGRAM_LEN, readVni, VXLAN_LEN } from '../wire/vxlan.js';
import { bytesOf, type FanLine, type PacketLine } from './trace-lines.js';

export interface Stage {
  stage: string;
  /** µs since the packet was read; a batch is judged, and sent, as one. */
  us: number;
  ok: boolean;
  detail: string;
}

const NS_PER_S = 1_000_000_000n;

export type Verdict = 'sent' | 'delivered' | 'relayed' | 'noted' | 'answered' | 'dropped';

const ENCAP = ['check', 'map', 'fit', 'header'] as const;
const DECAP = ['outer', 'inner', 'source', 'target', 'ecn'] as const;
const JUDGED = { encap: ENCAP, decap: DECAP, 'path-error': ['quote'], reply: ['rate'] } as const;
const KEPT = { encap: 'sent', decap: 'delivered', reply: 'answered' } as const;
const FIRST = {
  encap: 'tun-read',
  decap: 'received',
  'path-error': 'icmp-received',
  reply: 'icmp-made',
} as const;
const LAST = { encap: 'sent', decap: 'tun-written', 'path-error': 'taken', reply: 'tun-written' } as const;

/** The stage at which a reason ends the walk. Those of inner headers are of either walk. */
const INNER: readonly DropReasonName[] = [
  'not-ipv4',
  'inner-malformed',
  'inner-checksum',
  'inner-ttl',
  'nested-ipip',
  'vlan-tag',
  'group-frame',
  'arp-malformed',
];
const STAGE_OF: Partial<Record<DropReasonName, string>> = {
  'source-not-ours': 'check',
  'outside-overlay': 'check',
  'underlay-network': 'map',
  'underlay-broadcast': 'map',
  'to-ourselves': 'map',
  'too-big': 'fit',
  'send-failed': 'sent',
  'outer-malformed': 'outer',
  'outer-destination': 'outer',
  'outer-source': 'outer',
  'vxlan-malformed': 'outer',
  vni: 'outer',
  'source-martian': 'source',
  'source-forged': 'source',
  'source-in-slice': 'source',
  'destination-outside-slice': 'target',
  ecn: 'ecn',
  'tun-write-failed': 'tun-written',
  'icmp-invalid': 'quote',
  'icmp-rate': 'rate',
};

export function verdictOf(line: PacketLine): Verdict {
  if (line.reason !== undefined) return 'dropped';
  if (line.path === 'path-error') return line.relayed ? 'relayed' : 'noted';
  if (isProbe(line)) return 'noted';
  return KEPT[line.path];
}

/** A probe of a peer's `fanctl probe`, which fand takes instead of the TUN: kept, and for no fan. */
export function isProbe({ path, bridge, reason }: PacketLine): boolean {
  return path === 'decap' && bridge === '' && reason === undefined;
}

/** The reason in words, without the walk's name in front. */
export function whyOf(reason: DropReasonName): string {
  const [, text] = DROP_REASONS.find(([name]) => name === reason)!;
  return text.replace(/^(encap|decap): /, '');
}

/** The stages up to the verdict. `fan` is that of the packet, where it has one. */
export function stagesOf(line: PacketLine, fan: FanLine | undefined): Stage[] {
  const { path, reason } = line;
  const end = reason === undefined ? undefined : endOf(line, reason);
  const stages: Stage[] = [{ stage: FIRST[path], us: 0, ok: true, detail: firstDetail(line, fan) }];
  const judgedUs = line.judgedNs / 1000;
  const drop = reason === undefined ? '' : `${reason}: ${whyOf(reason)}`;
  for (const stage of JUDGED[path]) {
    if (stage === end) return [...stages, { stage, us: judgedUs, ok: false, detail: drop }];
    stages.push({ stage, us: judgedUs, ok: true, detail: judgedDetail(stage, line, fan) });
  }
  const error = line.errno === 0 ? '' : ` (${errnoName(line.errno)})`;
  const detail = end === undefined ? lastDetail(line, fan) : `${drop}${error}`;
  const last = isProbe(line) ? 'taken' : LAST[path];
  return [...stages, { stage: last, us: line.doneNs / 1000, ok: end === undefined, detail }];
}

/** What the kernel finds too big as it is sent (errno set) ends at the sending. */
function endOf({ path, errno }: PacketLine, reason: DropReasonName): string {
  if (errno !== 0) return LAST[path];
  if (INNER.includes(reason)) return path === 'encap' ? 'check' : 'inner';
  return STAGE_OF[reason] ?? LAST[path];
}

export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}

function firstDetail({ path, length, packets }: PacketLine, fan: FanLine | undefined): string {
  const size = packets > 1 ? `${length} bytes, ${packets} packets on the wire` : `${length} bytes`;
  const device = path === 'encap' ? fan?.tun : fan?.device;
  return device === undefined || path === 'reply' ? size : `${size}, ${device}`;
}

function judgedDetail(stage: string, line: PacketLine, fan: FanLine | undefined): string {
  if (line.path === 'path-error') return quoteDetail(line);
  const outer = outerOf(line);
  if (outer === undefined) return '';
  switch (stage) {
    case 'map':
      return formatAddress(destination(outer, 0));
    case 'fit':
      return line.fragments
        ? `${line.fragments.length} outer fragments`
        : `underlay MTU ${fan?.underlayMtu ?? '?'}`;
    case 'header':
      return headerDetail(outer);
    case 'ecn':
      return line.tos === undefined ? '' : `tos 0x${line.tos.toString(16)}`;
    default:
      return '';
  }
}

/** The outer header, of the first fragment where there are several. */
function outerOf({ path, outer, fragments, data }: PacketLine): Uint8Array | undefined {
  const text = path === 'encap' ? (outer ?? fragments?.[0]) : data;
  const bytes = text === undefined ? undefined : bytesOf(text);
  return bytes !== undefined && bytes.length >= MIN_HEADER_LEN ? bytes : undefined;
}

function headerDetail(outer: Uint8Array): string {
  const fields = [`tos 0x${tos(outer, 0).toString(16)}`, `ttl ${ttl(outer, 0)}`, `id ${id(outer, 0)}`];
  return [...fields, ...(dontFragment(outer, 0) ? ['DF'] : []), ...tunnelFields(outer)].join(' ');
}

/** Of VXLAN, where `outer` reaches as far. */
function tunnelFields(outer: Uint8Array): string[] {
  if (protocol(outer, 0) !== PROTOCOL_UDP || outer.length < DATAGRAM_LEN + VXLAN_LEN) return [];
  const view = new DataView(outer.buffer, outer.byteOffset, outer.byteLength);
  return [`port ${read16(outer, MIN_HEADER_LEN + 2)}`, `vni ${readVni(view, DATAGRAM_LEN)}`];
}

function lastDetail(line: PacketLine, fan: FanLine | undefined): string {
  if (line.path === 'path-error') return line.relayed ? 'the sender is told' : 'nobody is told';
  if (line.errno !== 0) return errnoName(line.errno);
  if (isProbe(line)) return 'a probe of a peer, answered by fand';
  if (line.path !== 'encap') return fan?.tun ?? '';
  return fan === undefined ? '' : `${fan.device}, io ${fan.io}`;
}

function quoteDetail({ data }: PacketLine): string {
  const bytes = bytesOf(data);
  const error = createIcmpError();
  if (readIcmpError(bytes, 0, bytes.length, error) !== 0) return '';
  const peer = formatAddress(error.destination);
  switch (pathErrorOf(error.type, error.code, error.mtu)) {
    case PATH_TOO_BIG:
      return `path MTU ${error.mtu} to ${peer}`;
    case PATH_HOST_UNREACHABLE:
      return `${peer} is unreachable`;
    case PATH_PARAMETER_PROBLEM:
      return `${peer} refuses our header`;
    default:
      return 'says nothing that a container could use';
  }
}

/** Local time of day with microseconds, as tcpdump's. */
export function clockTime(timeNs: bigint): string {
  const inSecond = ((timeNs % NS_PER_S) + NS_PER_S) % NS_PER_S;
  const micros = `${inSecond / 1000n}`.padStart(6, '0');
  const seconds = (timeNs - inSecond) / NS_PER_S;
  const date = new Date(Number(seconds) * 1000);
  // A capture may say anything: what no calendar has is told in seconds.
  if (Number.isNaN(date.getTime())) return `${seconds}.${micros}`;
  const two = (n: number) => `${n}`.padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`;
}
