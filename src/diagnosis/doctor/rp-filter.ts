/**
 * rp-filter: a strict reverse-path filter that drops the fan's packets, because the route back to their source leads
 * through another device than the one they come in by (RFC 3704 §2.2).
 *
 * Of outer packets it drops those that come in by a raw socket; packet sockets have them before the filter, but the ICMP
 * errors about our packets, and probes, come by the IP layer in any io. At the TUN the kernel asks for the way that a
 * container's answer would take, so there route-overridden is the cause.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import type { FanRecord } from '../../control/state-store.js';
import { routeDevice } from '../../host/routes.js';
import { readSysctl } from '../../host/sysctl.js';
import { neighbourOf } from '../../host/underlay.js';
import { type Check, FIX, type Finding, fail, ok, warn } from './finding.js';
import type { Patient } from './patient.js';
import { type Candidate, candidatesIn } from './routes.js';

export const rpFilter: Check = {
  name: 'rp-filter',
  severity: 'critical',
  examine: (patient) => patient.eachFan((fan) => examineUnderlay(patient, fan)),
};

async function examineUnderlay(patient: Patient, fan: FanRecord): Promise<Finding[]> {
  const { mapping, underlayDevice } = fan.plan;
  const value = await strictnessOf(underlayDevice);
  if (value !== 1 || !(await patient.hasUnderlay(fan)))
    return [ok(`rp_filter of ${underlayDevice} is ${value}`)];
  const { after: drops } = await patient.reversePathDrops();
  const neighbour = neighbourOf(mapping.address, mapping.underlay.length);
  const candidates: Candidate[] = [
    { address: neighbour, because: '', remedy: '' },
    ...(await candidatesIn(patient, mapping.underlay)),
  ];
  const { io } = fan.view;
  const wrong: Finding[] = [];
  for (const { address, because } of candidates) {
    const back = await routeDevice(address, mapping.address);
    if (back === undefined || back === underlayDevice || back === 'lo') continue;
    const evidence =
      `rp_filter of ${underlayDevice} is strict, and the way back to ${formatAddress(address)} is ${back}` +
      `${because === '' ? '' : ` (${because})`}: ${drops} packets were dropped so on this host` +
      (io === 'raw' ? '' : `; io ${io} receives beside it, ICMP errors and probes don't`);
    // A part of the underlay may really be behind the other device: then nothing of it comes in by ours.
    if (because !== '' && drops === 0) wrong.push(warn(evidence, loosen(underlayDevice)));
    else wrong.push({ ...strict(underlayDevice, evidence), severity: io === 'raw' ? 'critical' : 'major' });
  }
  if (wrong.length > 0) return wrong;
  return [ok(`rp_filter of ${underlayDevice} is strict, the way back is the same`)];
}

/** The kernel uses the greater of `all` and the device's own value: 1 is strict, 2 loose, 0 off. */
async function strictnessOf(device: string): Promise<number> {
  const values = await Promise.all(
    ['all', device].map(async (name) => Number((await readSysctl(`ipv4/conf/${name}/rp_filter`)) ?? '0')),
  );
  return Math.max(...values);
}

function strict(device: string, evidence: string): Finding {
  return { ...fail(evidence, `${loosen(device)} (or ${FIX})`, { repairs: ['rp-filter'] }), direction: 'in' };
}

function loosen(device: string): string {
  return `echo 2 > /proc/sys/net/ipv4/conf/${device}/rp_filter`;
}
