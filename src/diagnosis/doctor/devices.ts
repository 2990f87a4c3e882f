/** Checks of the devices that `up` made, and of the Ethernet addresses on the bridge. */
import { formatAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, samePrefix } from '../../addr/prefix.js';
import { macOf } from '../../host/steps/bridge-step.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import { type Check, FIX, type Finding, fail, ok } from './finding.js';
import type { Patient } from './patient.js';

export const bridgeChanged: Check = {
  name: 'bridge-changed',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async ({ plan }) => {
      const link = await patient.link(plan.bridge);
      if (!link)
        return fail(`bridge ${plan.bridge} is gone`, FIX, { repairs: ['bridge', 'rp-filter', 'dhcp'] });
      const wrong = linkFaults(link, plan.mtu);
      const mac = macOf(formatAddress(plan.mapping.gateway));
      if (link.hardwareAddress !== mac) wrong.push(`address ${link.hardwareAddress} instead of ${mac}`);
      const has = (await patient.addresses()).filter((a) => a.device === plan.bridge).map((a) => a.address);
      for (let i = 0; i < plan.hostReserve; i++) {
        const address = plan.mapping.gateway + i;
        if (!has.includes(address)) wrong.push(`without ${formatAddress(address)}`);
      }
      if (wrong.length === 0 && !(await isRouted(patient, plan)))
        wrong.push(`without its route ${formatPrefix(plan.mapping.slice)}`);
      if (wrong.length === 0) return ok(`${plan.bridge} is as it was set up`);
      return fail(`${plan.bridge}: ${wrong.join(', ')}`, FIX, { repairs: ['bridge'] });
    }),
};

export const tunChanged: Check = {
  name: 'tun-changed',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async ({ plan }) => {
      const link = await patient.link(plan.tun);
      // A fan whose TUN was removed is dead, which another check says.
      if (!link) return [];
      const wrong = linkFaults(link, plan.mtu);
      const has = (await patient.addresses()).filter((a) => a.device === plan.tun).map((a) => a.address);
      if (!has.includes(plan.mapping.gateway)) wrong.push(`without ${formatAddress(plan.mapping.gateway)}`);
      if (wrong.length === 0) return ok(`${plan.tun} is as it was set up`);
      return fail(`${plan.tun}: ${wrong.join(', ')}`, FIX, { repairs: ['tun', 'route'] });
    }),
};

export const duplicateMac: Check = {
  name: 'duplicate-mac',
  severity: 'major',
  isCostly: true,
  examine: (patient) => patient.eachFan((fan) => examineMacs(patient, fan.plan.bridge)),
};

/** Whether what is for the slice leads to the bridge, as far as a route of that width says. */
async function isRouted(patient: Patient, { bridge, mapping }: FanPlan): Promise<boolean> {
  const routes = await patient.routes();
  return routes.some((r) => r.device === bridge && samePrefix(r.destination, mapping.slice));
}

function linkFaults(link: { flags: readonly string[]; mtu: number }, mtu: number): string[] {
  return [
    ...(link.flags.includes('UP') ? [] : ['is down']),
    ...(link.mtu === mtu ? [] : [`MTU ${link.mtu} instead of ${mtu}`]),
  ];
}

async function examineMacs(patient: Patient, bridge: string): Promise<Finding[]> {
  const links = await patient.links();
  const ends = await patient.farEnds(bridge);
  const own = links.filter(({ name }) => name === bridge);
  const all = [
    ...own.map(({ name, hardwareAddress }) => ({ label: name, hardwareAddress, fix: '' })),
    ...ends.map(({ label, hardwareAddress, enter, device }) => {
      return { label, hardwareAddress, fix: `${enter} ip link set dev ${device} address NEW_ADDRESS` };
    }),
  ];
  const second = all.find((a, i) => all.findIndex((b) => b.hardwareAddress === a.hardwareAddress) < i);
  if (!second) return [ok(`no address twice on ${bridge} (${all.length} seen)`)];
  const first = all.find(({ hardwareAddress }) => hardwareAddress === second.hardwareAddress)!;
  return [
    fail(`${first.label} and ${second.label} on ${bridge} both have ${second.hardwareAddress}`, second.fix),
  ];
}
