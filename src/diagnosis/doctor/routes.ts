/**
 * Checks of the routes: ours is there, and no other route or policy rule takes overlay addresses elsewhere. Asked are
 * the addresses at which the answer could differ: one of another host, and the first of each route and rule inside.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { broadcastOf, contains, formatPrefix, overlaps, type Prefix, samePrefix } from '../../addr/prefix.js';
import type { FanRecord } from '../../control/state-store.js';
import type { HostRoute } from '../../fan/fan-conflicts.js';
import { describeMatch } from '../../host/route-lookup.js';
import { routeDevice } from '../../host/routes.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import { type Check, FIX, type Finding, fail, ok } from './finding.js';
import type { Patient } from './patient.js';

/** More than these overlapping routes tell nothing more. */
const MOST_CANDIDATES = 64;

/** What stands for the device of a route that has none. */
const TYPES = ['blackhole', 'unreachable', 'prohibit', 'throw'];

export interface Candidate {
  /** u32 */
  readonly address: number;
  /** Where it comes from: "route 250.0.27.0/24", "rule 100 to …"; empty for any address of another host. */
  readonly because: string;
  /** How the operator removes it. */
  readonly remedy: string;
  /** It leads somewhere and stands where ours did: ours goes before it. */
  readonly isReplacement?: boolean;
}

export const routeMissing: Check = {
  name: 'route-missing',
  severity: 'critical',
  examine: (patient) =>
    patient.eachFan(async (fan) => {
      const { overlay } = fan.plan.mapping;
      if ((await hasRoute(patient, fan)) || (await isTaken(patient, fan))) {
        return ok(`${formatPrefix(overlay)} is routed`);
      }
      const evidence = `no route ${formatPrefix(overlay)} dev ${wayOf(fan.plan)}`;
      return fail(evidence, FIX, { repairs: fan.plan.vxlan?.layer2 ? ['bridge'] : ['tun', 'route'] });
    }),
};

export const routeOverridden: Check = {
  name: 'route-overridden',
  severity: 'critical',
  examine: (patient) => patient.eachFan((fan) => examineOverlay(patient, fan)),
};

async function hasRoute(patient: Patient, { plan }: FanRecord): Promise<boolean> {
  const routes = await patient.routes();
  const link = await patient.link(plan.tun);
  // The kernel takes the route of a device that goes down, which another check says.
  if (!link?.flags.includes('UP')) return true;
  return routes.some((r) => r.device === wayOf(plan) && samePrefix(r.destination, plan.mapping.overlay));
}

/** Whether another route stands in the place of ours. */
async function isTaken(patient: Patient, { plan }: FanRecord): Promise<boolean> {
  const routes = await patient.routes();
  return routes.some((r) => r.device !== wayOf(plan) && samePrefix(r.destination, plan.mapping.overlay));
}

/** The device by which the overlay is reached. */
function wayOf({ vxlan, bridge, tun }: FanPlan): string {
  return vxlan?.layer2 ? bridge : tun;
}

async function examineOverlay(patient: Patient, fan: FanRecord): Promise<Finding[]> {
  const { overlay } = fan.plan.mapping;
  const link = await patient.link(fan.plan.tun);
  const isRouted = (await hasRoute(patient, fan)) || (await isTaken(patient, fan));
  if (!link?.flags.includes('UP') || !isRouted) return [ok(`${fan.plan.tun} has no route yet`)];
  const taken = await addressesTaken(patient, fan);
  if (taken.length > 0) return taken;
  const refused = await refusals(patient, fan);
  if (refused.length > 0) return refused;
  const candidates = await candidatesIn(patient, overlay);
  const found = await Promise.all(candidates.map((candidate) => examineAddress(patient, fan, candidate)));
  const wrong = found.filter((finding) => finding !== undefined);
  // Any other address may lie in one of those routes, and would tell the same without saying why.
  const other = wrong.length > 0 ? undefined : await examineAddress(patient, fan, anyRemote(fan));
  if (other) wrong.push(other);
  if (wrong.length > 0) return wrong;
  return [ok(`${formatPrefix(overlay)} leads to ${fan.plan.tun}, ${candidates.length + 1} places looked at`)];
}

/** Addresses of other hosts' slices that this host has itself, and so answers for. */
async function addressesTaken(patient: Patient, { plan }: FanRecord): Promise<Finding[]> {
  const own = ownDevices(patient);
  const { overlay, slice } = plan.mapping;
  return (await patient.addresses())
    .filter(({ device, address }) => !own.has(device) && contains(overlay, address))
    .filter(({ address }) => !contains(slice, address))
    .map(({ device, address, length }) => {
      const text = formatAddress(address);
      const evidence = `${text} is an address of this host (${device}), so nobody here reaches the container that has it`;
      return fail(evidence, `ip address delete ${text}/${length} dev ${device}`);
    });
}

/** Policy rules that refuse packets of the fan, on their way out or in, as the kernel answers for an example of each. */
async function refusals(patient: Patient, fan: FanRecord): Promise<Finding[]> {
  const { bridge, tun, mapping, hostReserve } = fan.plan;
  const { slice, overlay } = mapping;
  const [container, remote] = [mapping.gateway + hostReserve, anyRemote(fan).address];
  const found: Finding[] = [];
  for (const { priority, text, isNegated, ...rule } of await patient.refusingRules()) {
    const within = (network: Prefix, selected: Prefix, usual: number): number | undefined => {
      if (isNegated || contains(selected, usual)) return usual;
      return overlaps(network, selected) ? hostIn(selected, network) : undefined;
    };
    const ways = [
      [within(slice, rule.source, container), within(overlay, rule.destination, remote), bridge],
      [within(overlay, rule.source, remote), within(slice, rule.destination, container), tun],
    ] as const;
    for (const [from, to, input] of ways) {
      if (from === undefined || to === undefined) continue;
      const [source, destination] = [formatAddress(from), formatAddress(to)];
      if ((await describeMatch({ source, destination, input })) !== text) continue;
      const evidence = `${source} to ${destination}, coming in by ${input}, is refused: ${text}`;
      found.push(fail(evidence, `ip rule delete priority ${priority}`));
      break;
    }
  }
  return found;
}

function ownDevices({ fans }: Patient): Set<string> {
  return new Set(fans.flatMap(({ plan }) => [plan.bridge, plan.tun]));
}

async function examineAddress(
  patient: Patient,
  fan: FanRecord,
  candidate: Candidate,
): Promise<Finding | undefined> {
  const { plan } = fan;
  // Our own addresses lead to the host itself.
  if ((await patient.addresses()).some(({ address }) => address === candidate.address)) return undefined;
  const ours = ownDevices(patient);
  const forwarded = await forwardedDevice(fan, candidate.address);
  const local = await routeDevice(candidate.address);
  const device = forwarded ?? local;
  const text = formatAddress(candidate.address);
  if (device === undefined) {
    if (candidate.because === '') return undefined;
    return fail(`${text} leads nowhere instead of to ${plan.tun}: ${candidate.because}`, candidate.remedy);
  }
  if (!ours.has(device)) {
    const because = candidate.because === '' ? 'another route or a policy rule' : candidate.because;
    const evidence = `${text} leads to ${device} instead of ${plan.tun}: ${because}`;
    return fail(evidence, candidate.remedy, candidate.isReplacement ? { repairs: ['route'] } : undefined);
  }
  // Only what the host itself sends goes astray.
  if (local === undefined || ours.has(local)) return undefined;
  return fail(`${text} leads this host to ${local} instead of ${plan.tun}: a policy rule`, candidate.remedy);
}

/** Where a container's packet goes; undefined where the host forwards nothing, or nothing leads there. */
function forwardedDevice({ plan }: FanRecord, address: number): Promise<string | undefined> {
  return routeDevice(address, plan.mapping.gateway + plan.hostReserve, plan.bridge);
}

/** An overlay address of another host: just before our slice, or just behind it. */
function anyRemote({ plan }: FanRecord): Candidate {
  const { slice, overlay } = plan.mapping;
  const address = slice.base > overlay.base ? slice.base - 1 : broadcastOf(slice) + 1;
  return { address, because: '', remedy: `ip route get ${formatAddress(address)}; ip rule show` };
}

/** An address for each route and policy rule inside `network` that is not of a fan. */
export async function candidatesIn(patient: Patient, network: Prefix): Promise<Candidate[]> {
  const own = ownDevices(patient);
  const routes = (await patient.routes())
    .filter(({ device, destination }) => !own.has(device) && destination.length > 0)
    .filter(({ destination }) => overlaps(destination, network))
    .map((route) => ({
      address: hostIn(route.destination, network),
      because: `route ${formatPrefix(route.destination)} (${route.device})`,
      remedy: removalOf(route) + (samePrefix(route.destination, network) ? `; ${FIX}` : ''),
      isReplacement:
        samePrefix(route.destination, network) && !TYPES.includes(route.device) && !route.isLocal,
    }));
  const rules = (await patient.destinationRules())
    .filter(({ destination }) => overlaps(destination, network))
    .map(({ priority, destination, table }) => ({
      address: hostIn(destination, network),
      because: `policy rule ${priority} to ${formatPrefix(destination)}, table ${table}`,
      remedy: `ip rule delete priority ${priority}`,
    }));
  return [...rules, ...routes].slice(0, MOST_CANDIDATES);
}

function removalOf({ device, destination, isLocal }: HostRoute): string {
  const type = isLocal ? 'local ' : TYPES.includes(device) ? `${device} ` : '';
  return `ip route delete ${type}${formatPrefix(destination)}`;
}

/** A host address that is in both; of two prefixes that overlap, one contains the other. */
function hostIn(destination: Prefix, network: Prefix): number {
  const narrow = contains(network, destination.base) ? destination : network;
  return narrow.length < 31 ? narrow.base + 1 : narrow.base;
}
