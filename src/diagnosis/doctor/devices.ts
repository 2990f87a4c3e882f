/** Checks of the devices that `up` made, and of the Ethernet addresses on the bridge. */
import { formatAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, samePrefix } from '../../addr/prefix.js';
import { tunnelMac } from '../../fan/encapsulation.js';
import type { Link } from '../../host/links.js';
import { macOf } from '../../host/steps/bridge-step.js';
import { type FanPlan, onLink } from '../../host/steps/fan-steps.js';
import { readSysctl } from '../../host/sysctl.js';
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
        wrong.push(`without its route ${formatPrefix(onLink(plan))}`);
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
      wrong.push(...(await tapFaults(link, plan)));
      if (!plan.vxlan?.layer2 && !has.includes(plan.mapping.gateway))
        wrong.push(`without ${formatAddress(plan.mapping.gateway)}`);
      if (wrong.length === 0) return ok(`${plan.tun} is as it was set up`);
      return fail(`${plan.tun}: ${wrong.join(', ')}`, FIX, { repairs: ['tun', 'route'] });
    }),
};

export const vxlanDeviceChanged: Check = {
  name: 'vxlan-device-changed',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async ({ plan: { vxlan, vxlanDevice }, view }) => {
      // Where the kernel carries nothing, nothing goes by it.
      if (!vxlan || vxlanDevice === undefined || view.io !== 'bpf') return [];
      const link = await patient.link(vxlanDevice);
      const wrong = link ? vxlanFaults(link, vxlan.port) : ['is gone'];
      if (wrong.length === 0) return ok(`${vxlanDevice} is as it was set up`);
      return fail(`${vxlanDevice}: ${wrong.join(', ')}`, FIX, { repairs: ['vxlan-device'] });
    }),
};

export const duplicateMac: Check = {
  name: 'duplicate-mac',
  severity: 'major',
  isCostly: true,
  examine: (patient) => patient.eachFan((fan) => examineMacs(patient, fan.plan.bridge)),
};

/** Whether what is for the slice leads to the bridge, as far as a route of that width says. */
async function isRouted(patient: Patient, plan: FanPlan): Promise<boolean> {
  const routes = await patient.routes();
  return routes.some((r) => r.device === plan.bridge && samePrefix(r.destination, onLink(plan)));
}

/** Of what the TAP of a VXLAN fan has beside a TUN (host/steps/tap-device.ts). */
async function tapFaults(link: Link, { vxlan, mapping, bridge, tun }: FanPlan): Promise<string[]> {
  if (!vxlan) return [];
  const mac = tunnelMac(mapping.address);
  const faults = link.hardwareAddress === mac ? [] : [`address ${link.hardwareAddress} instead of ${mac}`];
  const master = vxlan.layer2 ? bridge : '';
  if (link.master !== master) {
    faults.push(master === '' ? `is a port of ${link.master}` : `is no port of ${master}`);
  }
  const isSilent = !vxlan.layer2 && (await readSysctl(`ipv4/conf/${tun}/proxy_arp`)) === '0';
  return isSilent ? [...faults, 'proxy_arp is 0'] : faults;
}

function vxlanFaults({ flags, attributes }: Link, port: number): string[] {
  const faults = flags.includes('UP') ? [] : ['is down'];
  return attributes.port === port ? faults : [...faults, `port ${attributes.port} instead of ${port}`];
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
