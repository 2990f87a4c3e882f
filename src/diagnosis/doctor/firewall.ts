/**
 * Checks of the firewall beside the way of the fan's packets (inner-drops.ts, outer-drops.ts): what stays on the bridge,
 * DHCP, and the tables of our own.
 */

import type { FanRecord } from '../../control/state-store.js';
import { GUARD_FAMILY, GUARD_TABLE } from '../../host/firewall/guard.js';
import { ownTable, type Ruleset } from '../../host/firewall/nft.js';
import { findDrops, type PacketKind } from '../../host/firewall/packet-verdict.js';
import { type FirewallData, missingAccepts } from '../../host/steps/firewall-step.js';
import { type GuardData, missingFromGuard } from '../../host/steps/guard-step.js';
import { type IsolateData, missingIsolation } from '../../host/steps/isolate-step.js';
import {
  LAYER2_FAMILY,
  type Layer2GuardData,
  missingFromLayer2Guard,
} from '../../host/steps/layer2-guard-step.js';
import { type NatData, ownChains } from '../../host/steps/nat-step.js';
import { readSysctl } from '../../host/sysctl.js';
import { dropAmong, judged } from './drop-finding.js';
import { type Check, FIX, type Finding, fail, ok, warn } from './finding.js';
import type { Patient } from './patient.js';

const ICMP = 1;
const UDP = 17;
const DHCP_SERVER = 67;
const DHCP_CLIENT = 68;
const NOWHERE = { base: 0, length: 32 };
const EVERYWHERE = { base: 0xffffffff, length: 32 };
/** Where set, what passes a bridge also passes the FORWARD chains; absent where br_netfilter is not loaded. */
const BRIDGE_NETFILTER = 'bridge/bridge-nf-call-iptables';

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
        protocol: ICMP,
        state: 'new',
      };
      const drops = findDrops(await patient.firewall(), 'forward', packet);
      if (drops.length === 0) return ok(`nothing drops what stays on ${bridge}`);
      const by = drops.map(({ drop }) => drop.by).join(', and ');
      const evidence = `net.${BRIDGE_NETFILTER.replace('/', '.')} is 1, and packets between containers on ${bridge} are dropped by ${by}`;
      const fix = drops.map(({ base }) => base.admission(bridge, bridge)).join('; ');
      return { ...warn(evidence, fix), severity: 'major' };
    }),
};

export const dhcpBlocked: Check = {
  name: 'dhcp-blocked',
  severity: 'major',
  examine: (patient) => patient.eachFan((fan) => examineDhcp(patient, fan)),
};

export const guardMissing: Check = {
  name: 'guard-missing',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan, steps }) => {
      const step = steps.find(({ kind }) => kind === 'guard');
      if (!step) {
        const evidence = `${plan.bridge} was brought up by an older ufan, without rules against forged packets`;
        return fail(evidence, 'fanctl down, and up again');
      }
      const ports = steps.find(({ kind }) => kind === 'layer2-guard')?.data as unknown as
        | Layer2GuardData
        | undefined;
      const unguarded = ports ? missingFromLayer2Guard(await patient.ruleset(), ports) : [];
      if (ports && unguarded.length > 0) {
        const evidence = `table ${LAYER2_FAMILY} ${ports.table} lacks ${unguarded.join(', ')} of ${plan.bridge}: forged frames may get in`;
        return fail(evidence, FIX, { repairs: ['layer2-guard'] });
      }
      const missing = missingFromGuard(await patient.ruleset(), step.data as unknown as GuardData);
      if (missing.length === 0) return ok(`table ${GUARD_FAMILY} ${GUARD_TABLE} guards ${plan.bridge}`);
      const evidence = `table ${GUARD_FAMILY} ${GUARD_TABLE} lacks ${missing.join(', ')} of ${plan.bridge}: forged packets may get in`;
      return fail(evidence, FIX, { repairs: ['guard'] });
    }),
};

export const isolationMissing: Check = {
  name: 'isolation-missing',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan, steps }) => {
      const step = steps.find(({ kind }) => kind === 'isolate');
      if (!step) return ok(`${plan.bridge} has no flag isolate`);
      const missing = missingIsolation(await patient.ruleset(), step.data as unknown as IsolateData);
      if (missing === undefined) return ok(`the ports of ${plan.bridge} are isolated`);
      return fail(`${missing}: containers of ${plan.bridge} can pose as each other`, FIX, {
        repairs: ['isolate'],
      });
    }),
};

export const natRulesMissing: Check = {
  name: 'nat-rules-missing',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan, steps }) => {
      const table = ownTable(plan.mapping.slice.base);
      const step = steps.find(({ kind }) => kind === 'nat');
      const chains = step ? ownChains(step.data as unknown as NatData) : [];
      const missing = missingRules(await patient.ruleset(), table, chains);
      if (missing.length === 0) return ok(`table ip ${table} is as it was set up`);
      return fail(`table ip ${table} lacks ${missing.join(', ')}`, FIX, { repairs: ['nat', 'firewall'] });
    }),
};

/**
 * A warning, and for the healer: whether anything is dropped for want of them, other checks say. Who told a fan not to
 * heal keeps his chains as they are.
 */
export const acceptsMissing: Check = {
  name: 'accepts-missing',
  severity: 'minor',
  examine: (patient) =>
    patient.eachFan(async ({ plan, steps, request }) => {
      const step = steps.find(({ kind }) => kind === 'firewall');
      if (!step) return ok(`${plan.bridge} has no part in the firewall`);
      if (request.options.heal === false) return ok(`${plan.bridge} leaves chains as they are`);
      const missing = missingAccepts(await patient.ruleset(), step.data as unknown as FirewallData);
      if (missing.length === 0) return ok(`${plan.bridge} has its accepts where a chain drops`);
      const evidence = `${plan.bridge} lacks ${missing.join(', ')}`;
      return { ...warn(evidence, FIX), mend: { repairs: ['firewall'] } };
    }),
};

async function examineDhcp(patient: Patient, { plan }: FanRecord): Promise<Finding[]> {
  const { bridge, mapping, dhcp } = plan;
  if (!dhcp) return [ok(`${bridge} has no DHCP`)];
  const bases = await patient.firewall();
  const common = { protocol: UDP, state: 'new' } as const;
  const request: PacketKind = {
    ...common,
    input: bridge,
    source: NOWHERE,
    destination: EVERYWHERE,
    sourcePort: DHCP_CLIENT,
    destinationPort: DHCP_SERVER,
  };
  const reply: PacketKind = {
    ...common,
    output: bridge,
    source: { base: mapping.gateway, length: 32 },
    destination: mapping.slice,
    sourcePort: DHCP_SERVER,
    destinationPort: DHCP_CLIENT,
  };
  const what = `DHCP requests from ${bridge}`;
  return [
    judged(dropAmong(bases, ['ingress', 'prerouting'], request), what, false),
    judged(dropAmong(bases, ['input'], request), what, true),
    judged(dropAmong(bases, ['output', 'postrouting', 'egress'], reply), `DHCP answers to ${bridge}`, false),
  ];
}

function missingRules(
  { tables, rules }: Ruleset,
  table: string,
  chains: ReturnType<typeof ownChains>,
): string[] {
  if (!tables.some(({ family, name }) => family === 'ip' && name === table))
    return ['everything: it is gone'];
  return chains.flatMap(({ name, rules: { length: count } }) => {
    const there = rules.filter((r) => r.family === 'ip' && r.table === table && r.chain === name).length;
    return there < count ? [`${count - there} of ${count} rules of ${name}`] : [];
  });
}
