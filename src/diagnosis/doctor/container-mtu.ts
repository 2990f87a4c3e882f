/**
 * container-mtu: a port of the bridge, or the container's end of it, whose packets are larger than the TUN takes. A
 * container that got its MTU by DHCP keeps to it whatever its port would take.
 */

import type { FanRecord } from '../../control/state-store.js';
import type { FarEnd } from '../../host/far-ends.js';
import { type Check, type Finding, fail, ok } from './finding.js';
import type { Patient } from './patient.js';

export const containerMtu: Check = {
  name: 'container-mtu',
  severity: 'major',
  isCostly: true,
  examine: (patient) => patient.eachFan((fan) => examineFan(patient, fan)),
};

async function examineFan(patient: Patient, { plan }: FanRecord): Promise<Finding[]> {
  const ports = await patient.ports(plan.bridge);
  const ends = await patient.farEnds(plan.bridge);
  const { mtu } = plan;
  const above = ports.flatMap((port): Finding[] => {
    const end = ends.find((one) => one.port === port.name);
    const isTold = plan.dhcp && end !== undefined && end.mtu <= mtu;
    const wrong = [
      ...(port.mtu > mtu && !isTold ? [`port ${port.name} has MTU ${port.mtu}`] : []),
      ...(end && end.mtu > mtu ? [`${end.label} has MTU ${end.mtu}`] : []),
    ];
    if (wrong.length === 0) return [];
    const evidence = `${wrong.join(', ')}: above the ${mtu} of ${plan.tun} (bridge ${plan.bridge})`;
    return [fail(evidence, fixOf(port.name, end, mtu))];
  });
  if (above.length > 0) return above;
  return [ok(`none of ${ports.length} ports of ${plan.bridge} is above ${mtu}`)];
}

function fixOf(port: string, end: FarEnd | undefined, mtu: number): string {
  const inside = end && end.mtu > mtu ? [`${end.enter} ip link set dev ${end.device} mtu ${mtu}`] : [];
  return [...inside, `ip link set dev ${port} mtu ${mtu}`].join('; ');
}
