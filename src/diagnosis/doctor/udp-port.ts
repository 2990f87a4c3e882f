/** Of fans over VXLAN: whether their UDP port, and their VNI, are theirs alone on this host. */
import { portHolder } from '../../host/port-holder.js';
import { type Check, type Finding, fail, ok, warn } from './finding.js';
import type { Patient } from './patient.js';

export const udpPortShared: Check = {
  name: 'udp-port-shared',
  severity: 'major',
  isCostly: true,
  examine: (patient) =>
    patient.eachFan(async ({ plan: { vxlan, mapping } }) =>
      vxlan ? examinePort(patient, vxlan.port, vxlan.vni, mapping.address) : [],
    ),
};

async function examinePort(patient: Patient, port: number, vni: number, address: number): Promise<Finding> {
  const ours = new Set(patient.fans.flatMap(({ plan }) => plan.vxlanDevice ?? []));
  const holder = await portHolder(port, address, ours, patient.status?.pid);
  if (holder)
    return fail(`${holder} receives by udp port ${port} too`, 'end that, or say "port N" on every host');
  const twin = (await patient.links()).find(
    ({ name, kind, attributes }) =>
      kind === 'vxlan' && !ours.has(name) && attributes.id === vni && attributes.port === port,
  );
  if (!twin) return ok(`nobody else has udp port ${port}, or vni ${vni}`);
  return warn(
    `${twin.name}, a VXLAN device of the kernel, has the fan's vni ${vni}: LXD's bridge.mode=fan leaves one on a kernel without Ubuntu's patch, which reaches no host`,
    `ip link del ${twin.name} # or "vni N" on every host`,
  );
}
