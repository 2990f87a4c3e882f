/**
 * What becomes of a packet in the guard's prerouting, of every kind that its rules tell apart, with fans of one address and
 * of two, over IP-in-IP and VXLAN: the rules, walked as nftables walks them, against what is said of them in plain words.
 */
import { expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { contains, parsePrefix } from '../../../../src/addr/prefix.js';
import { ELSEWHERE, type GuardedFan, rulesOf } from '../../../../src/host/steps/guard-rules.js';

const [ICMP, IPIP, UDP] = [1, 4, 17];
const PADDING = 0x01010100;
const SOURCE_ROUTE = 0x83070400;

interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly port: number | undefined;
  readonly device: { readonly name: string; readonly kind: string | undefined };
  readonly type: 'host' | 'broadcast' | 'other';
  /** What the routing table calls the source, and whether a route leads to it: at all, and by the device. */
  readonly route: { readonly type: string; readonly any: boolean; readonly device: boolean };
  /** The first word of the outer header's options. */
  readonly options: number | undefined;
}

interface Outcome {
  readonly drop: string | undefined;
  /** What it is called afterwards. */
  readonly type: Packet['type'];
}

function fan(overlay: number, address: string, more: Partial<GuardedFan> = {}): GuardedFan {
  return {
    ...{ key: `${overlay}`, bridge: `fan-${overlay}`, tun: `tun-${overlay}`, underlay: '172.30.0.0/16' },
    ...{ overlay: `${overlay}.0.0.0/8`, slice: `${overlay}.0.28.0/24`, hostReserve: 1, address },
    ...{ dhcp: false, foreignSources: false, arrival: { device: 'eth0', isThere: true } },
    ...more,
  };
}

/** Asked often, of few. */
const known = new Map<string, boolean>();
function isIn(network: string, address: string): boolean {
  const question = `${network} ${address}`;
  const answer = known.get(question) ?? contains(parsePrefix(network), parseAddress(address));
  known.set(question, answer);
  return answer;
}

/** In plain words: a fan after the other, and of each its reasons in their order. */
function spoken(fans: readonly GuardedFan[], packet: Packet): Outcome {
  let { type } = packet;
  const { source, destination, device, route, options } = packet;
  for (const { key, overlay, underlay, address, arrival, vxlan } of fans) {
    const dropped = (reason: string): Outcome => ({ drop: `${reason}-${key}`, type });
    const isOuter = vxlan ? packet.port === vxlan.port : packet.protocol === IPIP;
    if (isIn(overlay, source)) return dropped('overlay-source-astray');
    if (isOuter && destination === address) {
      if (arrival ? device.name !== arrival.device : !route.device) return dropped('tunnel-astray');
      if (type !== 'host') return dropped('outer-not-unicast');
      if (route.type !== 'unicast') return dropped('outer-source-local');
      if (options === SOURCE_ROUTE) return dropped('outer-options');
    }
    if (isOuter && destination !== address && isIn(underlay, destination) && !route.device) {
      if (device.kind === 'bridge') type = 'other';
      if (type !== 'other') return dropped('tunnel-astray');
    }
    if (isIn(overlay, destination) && !route.any) return dropped('source-unroutable');
  }
  return { drop: undefined, type };
}

/** What a rule consists of, as far as these have it. */
interface Statement {
  readonly match?: { readonly op: '==' | '!=' | '>'; readonly left: Left; readonly right: unknown };
  readonly counter?: string;
  readonly mangle?: { readonly value: Packet['type'] };
  readonly jump?: { readonly target: string };
  readonly goto?: { readonly target: string };
}
interface Left {
  readonly meta?: { readonly key: string };
  readonly payload?: { readonly field: string };
  readonly fib?: { readonly result: string; readonly flags: readonly string[] };
  readonly '&'?: readonly [unknown, number];
}

function isAs(value: unknown, right: unknown): boolean {
  const { set, prefix } = right as { set?: unknown[]; prefix?: { addr: string; len: number } };
  if (prefix) return isIn(`${prefix.addr}/${prefix.len}`, value as string);
  return set ? set.includes(value) : value === right;
}

/** As nftables does it, from chain elsewhere on. */
function walked(chains: ReadonlyMap<string, readonly Statement[][]>, packet: Packet): Outcome {
  const { source, destination, protocol, port, device, type, route, options } = packet;
  const values: Record<string, unknown> = {
    ...{ saddr: source, daddr: destination, protocol, dport: port, hdrlength: options === undefined ? 5 : 6 },
    ...{ pkttype: type, iifname: device.name, iif: device.name, iifkind: device.kind },
  };
  /** What a match has on its left; undefined where the packet has none, and the rule ends. */
  const valueAt = ({ meta, payload, fib, '&': and }: Left): unknown => {
    if (fib) return fib.result === 'type' ? route.type : fib.flags.includes('iif') ? route.device : route.any;
    if (and) return options === undefined ? undefined : (options & and[1]) >>> 0;
    return values[payload?.field ?? meta?.key ?? ''];
  };
  const matches = ({ op, left, right }: NonNullable<Statement['match']>): boolean => {
    const value = valueAt(left);
    if (value === undefined) return false;
    return op === '>' ? (value as number) > (right as number) : isAs(value, right) === (op === '==');
  };
  /** The counter of the drop that ends it, if one does. */
  const walk = (chain: string): string | undefined => {
    for (const rule of chains.get(chain) ?? []) {
      if (!rule.every(({ match }) => match === undefined || matches(match))) continue;
      let counter: string | undefined;
      for (const statement of rule) {
        counter = statement.counter ?? counter;
        if (statement.mangle) values.pkttype = statement.mangle.value;
        if (statement.goto) return walk(statement.goto.target);
        if (statement.jump) {
          const end = walk(statement.jump.target);
          if (end !== undefined) return end;
        }
        if ('drop' in statement || 'return' in statement) return counter;
      }
    }
    return undefined;
  };
  const drop = walk(ELSEWHERE);
  return { drop, type: values.pkttype as Packet['type'] };
}

/** Every one of each with every one of the others. */
function product<T extends object>(choices: { readonly [K in keyof T]: readonly T[K][] }): T[] {
  const names = Object.keys(choices) as (keyof T)[];
  return names.reduce<Partial<T>[]>(
    (rows, name) => rows.flatMap((row) => choices[name].map((value) => ({ ...row, [name]: value }))),
    [{}],
  ) as T[];
}

const PACKETS = product<Omit<Packet, 'protocol' | 'port'> & { kind: readonly [number, number | undefined] }>({
  source: ['172.30.0.27', '10.20.0.6', '250.0.27.2', '251.0.27.2'],
  destination: ['172.30.0.28', '172.30.0.99', '172.30.0.4', '10.20.0.5', '250.0.28.2', '251.0.28.2'],
  kind: [
    [ICMP, undefined],
    [IPIP, undefined],
    [UDP, 8472],
    [UDP, 8473],
  ],
  device: [
    { name: 'eth0', kind: undefined },
    { name: 'eth1', kind: undefined },
    { name: 'br0', kind: 'bridge' },
  ],
  type: ['host', 'broadcast', 'other'],
  route: product<Packet['route']>({
    type: ['unicast', 'local'],
    any: [true, false],
    device: [true, false],
  }),
  options: [undefined, PADDING, SOURCE_ROUTE],
}).map(({ kind: [protocol, port], ...rest }): Packet => ({ ...rest, protocol, port }));

const [HERE, SECOND] = ['172.30.0.28', '172.30.0.99'];
const vxlan = { vni: 16384000, port: 8472, layer2: false };
it.each<[string, GuardedFan[]]>([
  ['one fan', [fan(250, HERE)]],
  ['one over VXLAN', [fan(250, HERE, { vxlan })]],
  ['one whose address is on no device in particular', [fan(250, HERE, { arrival: undefined })]],
  ['two of one address', [fan(250, HERE), fan(251, HERE)]],
  [
    'two of two addresses, by two devices',
    [fan(250, HERE), fan(251, SECOND, { arrival: { device: 'eth1', isThere: true } })],
  ],
  [
    'two of two addresses, of which one has two overlays',
    [fan(251, SECOND), fan(250, HERE), fan(252, SECOND)],
  ],
  [
    'two underlays',
    [fan(250, HERE, { underlay: '172.30.0.0/26' }), fan(251, SECOND, { underlay: '172.30.0.64/26' })],
  ],
  ['IP-in-IP and VXLAN', [fan(250, HERE), fan(251, HERE, { vxlan })]],
  ['VXLAN and IP-in-IP', [fan(250, HERE, { vxlan }), fan(251, SECOND)]],
  ['two of one port', [fan(250, HERE, { vxlan }), fan(251, SECOND, { vxlan, arrival: undefined })]],
  ['two of two ports', [fan(250, HERE, { vxlan }), fan(251, HERE, { vxlan: { ...vxlan, port: 8473 } })]],
])('%s', (_title, fans) => {
  const chains = new Map<string, Statement[][]>();
  for (const { chain, expr } of fans.flatMap(rulesOf))
    chains.set(chain, [...(chains.get(chain) ?? []), [...expr] as Statement[]]);
  const wrong: object[] = [];
  const seen = new Set<string>();
  for (const packet of PACKETS) {
    const [is, should] = [walked(chains, packet), spoken(fans, packet)];
    seen.add(`${should.drop}`.replace(/-\d+$/, ''));
    if (is.drop !== should.drop || is.type !== should.type) wrong.push({ packet, is, should });
  }
  expect(wrong.slice(0, 3)).toEqual([]);
  // Each reason of these chains, and none.
  expect(seen.size).toBe(7);
});
