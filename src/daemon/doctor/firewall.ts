/**
 * Checks of the firewall: would a packet of the fan be dropped by a chain of this host, and are our own rules there?
 * A drop that is not certain, because a rule before it could not be understood, is a warning.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { formatPrefix } from '../../addr/prefix.js';
import { ownTable, type Ruleset } from '../../host/nft.js';
import { type Drop, findDrop, type PacketKind } from '../../host/packet-verdict.js';
import { readSysctl } from '../../host/sysctl.js';
import type { FanRecord } from '../state-store.js';
import { type Check, FIX, type Finding, fail, ok, warn } from './finding.js';
import type { Patient } from './patient.js';

const PROTOCOLS: readonly (readonly [string, number])[] = [
  ['ICMP', 1],
  ['TCP', 6],
  ['UDP', 17],
];
const IPIP = 4;
const UDP = 17;
const DHCP_SERVER = 67;
const NOWHERE = { base: 0, length: 32 };
const EVERYWHERE = { base: 0xffffffff, length: 32 };
/** Hooks that an outer packet passes before `input`, and on its way out. */
const HOOKS_IN = ['ingress', 'prerouting'];
const HOOKS_OUT = ['output', 'postrouting', 'egress'];
/** Those that a packet socket receives beside. What leaves has them all in any io: it goes by the raw socket at first. */
const RAW_HOOKS = ['prerouting', 'input'];
/** Where set, what passes a bridge also passes the FORWARD chains; absent where br_netfilter is not loaded. */
const BRIDGE_NETFILTER = 'bridge/bridge-nf-call-iptables';
/** What natStep puts into the chains of the fan's table. */
const OWN_RULES: Readonly<Record<string, number>> = { receive: 1, send: 2, postrouting: 1 };

export const forwardDrop: Check = {
  name: 'forward-drop',
  severity: 'critical',
  examine: async (patient) => (await patient.eachFan((fan) => examineForward(patient, fan))).flat(),
};

export const protocol4Blocked: Check = {
  name: 'protocol-4-blocked',
  severity: 'critical',
  examine: async (patient) => (await patient.eachFan((fan) => examineOuter(patient, fan))).flat(),
};

export const bridgeNetfilter: Check = {
  name: 'bridge-netfilter',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan }) => {
      const { bridge, mapping } = plan;
      if ((await readSysctl(BRIDGE_NETFILTER)) !== '1')
        return ok(`the firewall does not see what stays on ${bridge}`);
      const packet: PacketKind = {
        input: bridge,
        output: bridge,
        source: mapping.slice,
        destination: mapping.slice,
        protocol: PROTOCOLS[0]![1],
        state: 'new',
      };
      const drop = findDrop(await patient.firewall(), 'forward', packet);
      if (!drop) return ok(`nothing drops what stays on ${bridge}`);
      const evidence = `net.${BRIDGE_NETFILTER.replace('/', '.')} is 1, and ${drop.by} drops packets between containers on ${bridge}`;
      return warn(evidence, `iptables -I FORWARD -i ${bridge} -o ${bridge} -j ACCEPT`);
    }),
};

export const dhcpBlocked: Check = {
  name: 'dhcp-blocked',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan }) => {
      if (!plan.dhcp) return ok(`${plan.bridge} has no DHCP`);
      const packet: PacketKind = {
        input: plan.bridge,
        source: NOWHERE,
        destination: EVERYWHERE,
        protocol: UDP,
        destinationPort: DHCP_SERVER,
        state: 'new',
      };
      const drop = findDrop(await patient.firewall(), 'input', packet);
      return judged(drop, `DHCP requests from ${plan.bridge}`);
    }),
};

export const natRulesMissing: Check = {
  name: 'nat-rules-missing',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan }) => {
      const table = ownTable(plan.mapping.slice.base);
      const missing = missingRules(await patient.ruleset(), table);
      if (missing.length === 0) return ok(`table ip ${table} is as it was set up`);
      return fail(`table ip ${table} lacks ${missing.join(', ')}`, FIX, { repairs: ['nat', 'firewall'] });
    }),
};

async function examineForward(patient: Patient, { plan }: FanRecord): Promise<Finding[]> {
  const { bridge, tun, mapping } = plan;
  const bases = await patient.firewall();
  const ways = [
    { input: bridge, output: tun, source: mapping.slice, destination: mapping.overlay },
    { input: tun, output: bridge, source: mapping.overlay, destination: mapping.slice },
  ];
  const found = ways.map((way, i): Finding => {
    const drops = PROTOCOLS.map(([name, protocol]) => {
      return { name, drop: findDrop(bases, 'forward', { ...way, protocol, state: 'new' }) };
    }).filter(({ drop }) => drop !== undefined);
    const worst = drops.find(({ drop }) => drop?.isSure) ?? drops[0];
    const names = drops.length === PROTOCOLS.length ? 'packets' : drops.map(({ name }) => name).join(' and ');
    const what = `${names} from ${way.input} to ${way.output}`;
    return { ...judged(worst?.drop, what), direction: i === 0 ? 'out' : 'in' };
  });
  const wrong = found.filter(({ status }) => status !== 'ok');
  return wrong.length > 0 ? wrong : [ok(`no chain drops what goes between ${bridge} and ${tun}`)];
}

async function examineOuter(patient: Patient, { plan, view }: FanRecord): Promise<Finding[]> {
  const { mapping, underlayDevice } = plan;
  const bases = await patient.firewall();
  const host = { base: mapping.address, length: 32 };
  const common = { protocol: IPIP, state: 'untracked' } as const;
  const ours = formatAddress(mapping.address);
  const network = formatPrefix(mapping.underlay);
  const inward: PacketKind = {
    ...common,
    input: underlayDevice,
    source: mapping.underlay,
    destination: host,
  };
  const outward: PacketKind = {
    ...common,
    output: underlayDevice,
    source: host,
    destination: mapping.underlay,
  };
  const dropAt = (hook: string, packet: PacketKind) =>
    view.io === 'raw' || !RAW_HOOKS.includes(hook) ? findDrop(bases, hook, packet) : undefined;
  const inputDrop = dropAt('input', inward);
  const dropIn = firstDrop([...HOOKS_IN.map((hook) => dropAt(hook, inward)), inputDrop]);
  const dropOut = firstDrop(HOOKS_OUT.map((hook) => dropAt(hook, outward)));
  const wrong: Finding[] = [
    {
      ...judged(dropIn, `protocol 4 from ${network} to ${ours}`, dropIn === inputDrop),
      direction: 'in',
    } as const,
    { ...judged(dropOut, `protocol 4 from ${ours} to ${network}`, false), direction: 'out' } as const,
  ].filter(({ status }) => status !== 'ok');
  return wrong.length > 0 ? wrong : [ok(`no chain drops protocol 4 between ${ours} and ${network}`)];
}

function firstDrop(drops: readonly (Drop | undefined)[]): Drop | undefined {
  return drops.find((drop) => drop?.isSure) ?? drops.find((drop) => drop !== undefined);
}

/** An accept of ours helps at forward and input, where `up` puts some; elsewhere the drop itself must go. */
function judged(drop: Drop | undefined, what: string, canMend = true): Finding {
  if (!drop) return ok(`nothing drops ${what}`);
  const fix = canMend ? FIX : drop.remedy;
  if (!drop.isSure) return warn(`perhaps dropped by ${drop.by}: ${what}`, fix);
  return fail(`dropped by ${drop.by}: ${what}`, fix, canMend ? { repairs: ['firewall'] } : undefined);
}

function missingRules({ tables, rules }: Ruleset, table: string): string[] {
  if (!tables.some(({ family, name }) => family === 'ip' && name === table))
    return ['everything: it is gone'];
  return Object.entries(OWN_RULES).flatMap(([chain, count]) => {
    const there = rules.filter((r) => r.family === 'ip' && r.table === table && r.chain === chain).length;
    return there < count ? [`${count - there} of ${count} rules of ${chain}`] : [];
  });
}
