/** Checks of the underlay: its device, our address on it, its MTU, and kernel tunnels that take our packets too. */
import { formatAddress } from '../../addr/ipv4-address.js';
import { renewCommand } from '../../control/fan-command.js';
import type { FanRecord } from '../../control/state-store.js';
import { overheadOf } from '../../fan/encapsulation.js';
import { findRival } from '../../host/tunnels.js';
import { carriesNothing, LEAST_UNDERLAY_MTU } from '../../host/underlay.js';
import { type Check, type Finding, fail, ok, warn } from './finding.js';
import type { Patient } from './patient.js';

export const underlayDown: Check = {
  name: 'underlay-down',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async (fan) => {
      const device = fan.plan.underlayDevice;
      const link = await patient.link(device);
      if (!link) return deviceGone(patient, fan);
      if (!link.flags.includes('UP')) return fail(`${device} is down`, `ip link set dev ${device} up`);
      if (link.flags.includes('NO-CARRIER'))
        return fail(`${device} has no carrier`, `ip link show dev ${device}`);
      return ok(`${device} is up`);
    }),
};

/** A renamed device still has our address; renamed back it serves the fan as before, which keeps its containers. */
async function deviceGone(patient: Patient, { plan, view, request }: FanRecord): Promise<Finding> {
  const { underlayDevice: device, mapping } = plan;
  const ours = formatAddress(mapping.address);
  const holders = (await patient.addresses()).filter(({ address }) => address === mapping.address);
  const now = (await patient.links()).find(
    (link) => !carriesNothing(link) && holders.some((holder) => holder.device === link.name),
  );
  const evidence = `the host has no device ${device} any more`;
  if (!now) return fail(`${evidence}, and ${ours} is on no other`, `ip link show # ${device} must come back`);
  const renew = renewCommand(request, view.flags, `${now.name}/${mapping.underlay.length}`);
  return fail(
    `${evidence}: ${ours} is on ${now.name}`,
    `ip link set dev ${now.name} name ${device} # or: ${renew}`,
  );
}

export const addressChanged: Check = {
  name: 'address-changed',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async ({ plan, view, request }) => {
      const device = plan.underlayDevice;
      if (!(await patient.link(device))) return ok(`${device} is gone`);
      const ours = formatAddress(plan.mapping.address);
      const addresses = await patient.addresses();
      if (addresses.some(({ address }) => address === plan.mapping.address))
        return ok(`the host has ${ours}`);
      const now = addresses.filter((a) => a.device === device).map((a) => formatAddress(a.address));
      return fail(
        `${view.bridge} was brought up with ${ours}, and ${device} has ${now.join(', ') || 'no address'}`,
        renewCommand(request, view.flags),
      );
    }),
};

export const underlayMtu: Check = {
  name: 'underlay-mtu-changed',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan, view }) => {
      const link = await patient.link(plan.underlayDevice);
      const expected = plan.mtu + overheadOf(plan.vxlan);
      if (!link || link.mtu === expected) return ok(`${plan.underlayDevice} has MTU ${expected}`);
      const evidence = `${link.name} has MTU ${link.mtu}, ${view.bridge} is made for ${expected}`;
      if (link.mtu >= LEAST_UNDERLAY_MTU)
        return warn(`${evidence}; fand follows in a moment`, 'fanctl doctor');
      const remedy = `ip link set dev ${link.name} mtu ${expected}`;
      return fail(`${evidence} and needs at least ${LEAST_UNDERLAY_MTU}`, remedy);
    }),
};

export const kernelTunnel: Check = {
  name: 'kernel-tunnel',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async ({ plan }) => {
      if (plan.vxlan) return [];
      const ours = formatAddress(plan.mapping.address);
      const rival = findRival(await patient.links(), plan.mapping.address);
      if (!rival) return ok(`no tunnel of the kernel takes protocol 4 to ${ours} from anybody`);
      return fail(
        `${rival.name} (${rival.kind}) takes protocol 4 from anybody to ${ours} and delivers each packet once more`,
        `ip link set dev ${rival.name} down`,
      );
    }),
};
