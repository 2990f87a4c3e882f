/**
 * What `up` does to the host for one fan, in order, and what it does once for all of them: the list of the steps,
 * as plain data that the state file can hold. `down` undoes them in reverse; the shared ones last.
 *
 * None of them touches the underlay device's addresses, routes or MTU: no fan may cost the host its own network.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { broadcastOf, formatPrefix, type Prefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { tunnelMac, type VxlanTerms } from '../../fan/encapsulation.js';
import type { FanMapping } from '../../fan/mapping.js';
import { guardKey } from '../firewall/guard.js';
import { ownTable } from '../firewall/nft.js';
import { neighbourOf } from '../underlay.js';
import { type BridgeData, bridgeStep, macOf } from './bridge-step.js';
import { type DhcpData, dhcpStep } from './dhcp-step.js';
import { type FirewallData, firewallStep } from './firewall-step.js';
import { type ForwardingData, forwardingStep } from './forwarding-step.js';
import { type GuardData, guardStep } from './guard-step.js';
import { type IsolateData, isolateStep } from './isolate-step.js';
import { type Layer2GuardData, layer2GuardStep } from './layer2-guard-step.js';
import { type NatData, natStep } from './nat-step.js';
import { type RouteData, routeStep } from './route-step.js';
import { type RpFilterData, rpFilterStep } from './rp-filter-step.js';
import type { StepKinds, StepRecord } from './step.js';
import { type TunData, tunStep } from './tun-step.js';
import { type VxlanDeviceData, vxlanDeviceStep } from './vxlan-device-step.js';

export interface FanPlan {
  readonly mapping: FanMapping;
  readonly bridge: string;
  readonly tun: string;
  /** Of bridge and TUN, bytes. */
  readonly mtu: number;
  /** Addresses that the host keeps, from the gateway on. */
  readonly hostReserve: number;
  readonly dhcp: boolean;
  /** As FanOptions.dhcpRange. */
  readonly dhcpRange?: readonly [first: number, last: number];
  /** Whether names of other hosts' containers are asked for and told. */
  readonly dns?: boolean;
  /** As FanOptions.leases. */
  readonly leases?: string;
  /** Whether the MSS of TCP through the bridge is clamped to what the routes take. */
  readonly clampMss: boolean;
  /** Absent in the record of an older fand: as false. */
  readonly foreignSources?: boolean;
  /** Likewise. */
  readonly isolate?: boolean;
  /** Likewise. */
  readonly notrack?: boolean;
  /** Threads that forward for it: each has a queue of the TUN. */
  readonly workers: number;
  /** The device by which outer packets leave. */
  readonly underlayDevice: string;
  /** Set where packets travel in VXLAN: `tun` is a TAP then. Absent for IP-in-IP. */
  readonly vxlan?: VxlanTerms;
  /** The kernel's VXLAN device beside the TAP; absent where nothing goes by it. */
  readonly vxlanDevice?: string;
  /** Directory for files of the steps. */
  readonly runDir: string;
  /** For those that outlive a boot: leases. */
  readonly stateDir: string;
}

export const STEP_KINDS: StepKinds = {
  forwarding: forwardingStep,
  guard: guardStep,
  isolate: isolateStep,
  'layer2-guard': layer2GuardStep,
  bridge: bridgeStep,
  tun: tunStep,
  'vxlan-device': vxlanDeviceStep,
  route: routeStep,
  'rp-filter': rpFilterStep,
  nat: natStep,
  firewall: firewallStep,
  dhcp: dhcpStep,
};

/** The steps that all fans of this host share: applied before the first fan's, undone after the last one's. */
export function hostSteps(): StepRecord[] {
  return [record<ForwardingData>('forwarding', {})];
}

/** The steps of one fan, in order. Throws FanError usage where the slice is too small for what the host keeps. */
export function fanSteps(plan: FanPlan): StepRecord[] {
  checkReserve(plan);
  checkRange(plan);
  checkNames(plan);
  const { tun, mtu, workers, mapping, vxlan } = plan;
  const gateway = formatAddress(mapping.gateway);
  return [
    // First, and undone last: there is no moment without.
    record<GuardData>('guard', guardData(plan)),
    ...(plan.isolate ? [record<IsolateData>('isolate', isolateData(plan))] : []),
    ...(vxlan?.layer2 ? [record<Layer2GuardData>('layer2-guard', layer2GuardData(plan))] : []),
    record<BridgeData>('bridge', bridgeData(plan)),
    record<TunData>('tun', { tun, mtu, gateway, queues: workers, ...tapOf(plan) }),
    ...vxlanDeviceSteps(plan),
    // In layer 2 the overlay is the bridge's own network.
    ...(vxlan?.layer2
      ? []
      : [record<RouteData>('route', { overlay: formatPrefix(mapping.overlay), tun, gateway })]),
    record<RpFilterData>('rp-filter', rpFilterData(plan)),
    record<NatData>('nat', natData(plan)),
    record<FirewallData>('firewall', firewallData(plan)),
    ...(plan.dhcp ? [record<DhcpData>('dhcp', dhcpData(plan))] : []),
  ];
}

function tapOf({ vxlan, mapping, bridge }: FanPlan): Pick<TunData, 'tap'> {
  if (!vxlan) return {};
  const hardwareAddress = tunnelMac(mapping.address);
  return { tap: { hardwareAddress, ...(vxlan.layer2 ? { bridge } : {}) } };
}

function vxlanDeviceSteps({ vxlan, vxlanDevice, mapping }: FanPlan): StepRecord[] {
  if (!vxlan || vxlanDevice === undefined) return [];
  const { vni, port } = vxlan;
  const data = { device: vxlanDevice, address: formatAddress(mapping.address), port, vni };
  return [record<VxlanDeviceData>('vxlan-device', data)];
}

export function bridgeData(plan: FanPlan): BridgeData {
  const { bridge, mtu, hostReserve, mapping } = plan;
  return {
    bridge,
    mtu,
    gateway: formatAddress(mapping.gateway),
    length: onLink(plan).length,
    hostReserve,
  };
}

/** The network that the bridge, and its containers, have on link. */
export function onLink({ mapping, vxlan }: Pick<FanPlan, 'mapping' | 'vxlan'>): Prefix {
  return vxlan?.layer2 ? mapping.overlay : mapping.slice;
}

/** `records` with the steps of `plan` that a fand before us did not know, each at its place. */
export function withNewSteps(plan: FanPlan, records: readonly StepRecord[]): StepRecord[] {
  return fanSteps(plan).map((step) => records.find(({ kind }) => kind === step.kind) ?? step);
}

function record<Data extends object>(kind: string, data: Data): StepRecord {
  return { kind, data: data as StepRecord['data'] };
}

function checkReserve({ mapping, hostReserve, dhcp }: FanPlan): void {
  const hosts = broadcastOf(mapping.slice) - mapping.slice.base - 1;
  const most = dhcp ? hosts - 1 : hosts;
  if (Number.isInteger(hostReserve) && hostReserve >= 1 && hostReserve <= most) return;
  throw new FanError(
    'usage',
    `host-reserve ${hostReserve} does not fit slice ${formatPrefix(mapping.slice)}: ` +
      `between 1 and ${most}${dhcp ? ', so that DHCP has an address to give' : ''}`,
  );
}

function checkRange({ mapping, hostReserve, dhcpRange }: FanPlan): void {
  if (!dhcpRange) return;
  const [first, last] = dhcpRange;
  const most = broadcastOf(mapping.slice) - mapping.slice.base - 1;
  if (first > hostReserve && last <= most) return;
  throw new FanError(
    'usage',
    `dhcp-range ${first}-${last} does not fit slice ${formatPrefix(mapping.slice)} with host-reserve ${hostReserve}: ` +
      `between ${hostReserve + 1} and ${most}`,
  );
}

function checkNames({ dns, dhcp, leases }: FanPlan): void {
  if (leases !== undefined && (dhcp || !dns)) {
    const why = dhcp
      ? 'with dhcp the names are those of its own leases'
      : 'they are for dns, which is not there';
    throw new FanError('usage', `leases: ${why}; leave it out${dhcp ? '' : ', or add dns'}`);
  }
  if (!dns || dhcp || leases !== undefined) return;
  throw new FanError(
    'usage',
    'dns needs dhcp, or leases: the names are those that containers give to the DHCP server',
  );
}

function rpFilterData({ mapping, underlayDevice, bridge, tun, vxlan }: FanPlan): RpFilterData {
  const { address, underlay, slice, overlay } = mapping;
  const peer = neighbourOf(address, underlay.length);
  // Any overlay address of another host will do: just before our slice, or just behind it.
  const remote = slice.base > overlay.base ? slice.base - 1 : broadcastOf(slice) + 1;
  return {
    checks: [
      { device: underlayDevice, from: peer },
      { device: vxlan?.layer2 ? bridge : tun, from: remote },
    ],
    own: [bridge, tun],
  };
}

function guardData({ mapping, bridge, tun, hostReserve, underlayDevice, ...plan }: FanPlan): GuardData {
  return {
    key: guardKey(mapping.slice.base),
    bridge,
    tun,
    overlay: formatPrefix(mapping.overlay),
    slice: formatPrefix(mapping.slice),
    underlay: formatPrefix(mapping.underlay),
    hostReserve,
    address: formatAddress(mapping.address),
    underlayDevice,
    dhcp: plan.dhcp,
    ...(plan.dns && { dns: true }),
    foreignSources: plan.foreignSources ?? false,
    ...(plan.notrack && { notrack: true }),
    ...(plan.vxlan && { vxlan: plan.vxlan }),
    ...(plan.vxlanDevice !== undefined && { vxlanDevice: plan.vxlanDevice }),
  };
}

function isolateData({ mapping, bridge, hostReserve }: FanPlan): IsolateData {
  const [gateway, slice] = [formatAddress(mapping.gateway), formatPrefix(mapping.slice)];
  return { key: guardKey(mapping.slice.base), bridge, gateway, slice, hostReserve };
}

function layer2GuardData({ mapping, bridge, tun }: FanPlan): Layer2GuardData {
  return {
    key: guardKey(mapping.slice.base),
    table: ownTable(mapping.slice.base),
    bridge,
    tap: tun,
    overlay: formatPrefix(mapping.overlay),
    slice: formatPrefix(mapping.slice),
    own: [macOf(formatAddress(mapping.gateway)), tunnelMac(mapping.address)],
  };
}

function natData({ mapping, bridge, tun, clampMss, vxlan }: FanPlan): NatData {
  return {
    table: ownTable(mapping.slice.base),
    bridge,
    tun,
    clampMss,
    slice: formatPrefix(mapping.slice),
    overlay: formatPrefix(mapping.overlay),
    underlay: formatPrefix(mapping.underlay),
    address: formatAddress(mapping.address),
    ...(vxlan && { port: vxlan.port }),
  };
}

function firewallData({ mapping, bridge, tun, dhcp, dns, underlayDevice, vxlan }: FanPlan): FirewallData {
  const { base, length } = mapping.underlay;
  const address = formatAddress(mapping.address);
  return {
    ...{ bridge, tun, underlay: [formatAddress(base), length], address, dhcp, underlayDevice },
    ...(vxlan && { port: vxlan.port, layer2: vxlan.layer2 }),
    ...(dns && { gateway: formatAddress(mapping.gateway) }),
  };
}

function dhcpData(plan: FanPlan): DhcpData {
  const { mapping, bridge, mtu, hostReserve, dhcpRange, dns } = plan;
  const gateway = mapping.gateway;
  const first = dhcpRange ? mapping.slice.base + dhcpRange[0] : gateway + hostReserve;
  const last = dhcpRange ? mapping.slice.base + dhcpRange[1] : broadcastOf(mapping.slice) - 1;
  return {
    bridge,
    gateway: formatAddress(gateway),
    first: formatAddress(first),
    last: formatAddress(last),
    count: last - first + 1,
    length: onLink(plan).length,
    mtu,
    runDir: plan.runDir,
    leaseDir: plan.stateDir,
    ...(dns && { namesOf: formatPrefix(mapping.overlay) }),
  };
}
