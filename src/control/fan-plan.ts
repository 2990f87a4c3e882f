/**
 * From what the operator asked for to what will be done: resolves the underlay, maps, names, and refuses what can't
 * work here. Changes nothing.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { formatPrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import { formatFlags } from '../config/fan-flags.js';
import { parseOverlay } from '../config/overlay.js';
import { parseUnderlay } from '../config/underlay.js';
import { vxlanTermsOf } from '../config/vxlan-terms.js';
import { checkEncapsulation, overheadOf } from '../fan/encapsulation.js';
import {
  checkAgainstAddresses,
  checkAgainstFans,
  checkAgainstRoutes,
  checkTracking,
} from '../fan/fan-conflicts.js';
import { bridgeName, tapName, tunName, vxlanName } from '../fan/fan-name.js';
import { createMapping } from '../fan/mapping.js';
import { ownDevices, readDevices } from '../host/links.js';
import { portHolder } from '../host/port-holder.js';
import { readRoutes } from '../host/routes.js';
import { requireUsable } from '../host/steps/bridge-step.js';
import { bridgeData, type FanPlan } from '../host/steps/fan-steps.js';
import { checkTunnel4 } from '../host/tunnels.js';
import { LEAST_UNDERLAY_MTU, resolveUnderlay } from '../host/underlay.js';
import type { FanView, UpRequest } from './protocol.js';

/** Throws FanError for everything that stands against the fan; `others` are those that are configured. */
export async function planFan(
  request: UpRequest,
  others: readonly FanPlan[],
  surroundings: Pick<FanPlan, 'runDir' | 'stateDir' | 'workers'>,
): Promise<FanPlan> {
  const overlay = parseOverlay(request.overlay);
  const devices = await readDevices();
  const underlay = await resolveUnderlay(parseUnderlay(request.underlay), devices);
  const mapping = createMapping(overlay, underlay.address, underlay.length);
  checkAgainstFans(mapping, others);
  checkTracking(mapping, request.options.notrack, others);
  const vxlan = vxlanTermsOf(request.options, mapping.overlay);
  checkEncapsulation({ mapping, ...(vxlan && { vxlan }) }, others);
  const ours = new Set(others.flatMap(({ bridge, tun, vxlanDevice }) => [bridge, tun, vxlanDevice]));
  // Marked as ours, though no state file tells of them any more: `up` adopts them.
  const marked = ownDevices(devices.links);
  const { options } = request;
  if (options.isolate && options.foreignSources) {
    throw new FanError(
      'usage',
      'isolate and foreign-sources exclude each other: a port has one address of the slice, or may send from any outside',
    );
  }
  const bridge = options.bridge ?? bridgeName(mapping.slice, (name) => ours.has(name));
  if (ours.has(bridge)) {
    throw new FanError('in-use', `bridge ${bridge} belongs to another fan: choose another name`);
  }
  if (underlay.mtu < LEAST_UNDERLAY_MTU) {
    throw new FanError(
      'bad-underlay',
      `${underlay.device} has MTU ${underlay.mtu}: a fan needs at least ${LEAST_UNDERLAY_MTU}`,
    );
  }
  const plan: FanPlan = {
    ...surroundings,
    mapping,
    bridge,
    tun: (vxlan ? tapName : tunName)(mapping.slice, (name) => ours.has(name) || name === bridge),
    mtu: underlay.mtu - overheadOf(vxlan),
    hostReserve: options.hostReserve,
    dhcp: options.dhcp,
    ...(options.dhcpRange && { dhcpRange: options.dhcpRange }),
    ...(options.dns && { dns: true }),
    ...(options.leases !== undefined && { leases: options.leases }),
    clampMss: options.clampMss,
    foreignSources: options.foreignSources,
    isolate: options.isolate,
    ...(options.notrack && { notrack: true }),
    underlayDevice: underlay.device,
    ...(vxlan && { vxlan }),
    ...(vxlan && options.io !== 'raw' && { vxlanDevice: vxlanName(mapping.slice, (name) => ours.has(name)) }),
  };
  requireUsable(bridgeData(plan), devices);
  // A bridge that is there already has the fan's own addresses, and their route.
  const isForeign = ({ device }: { device: string }): boolean =>
    device !== bridge && !ours.has(device) && !marked.has(device);
  checkAgainstAddresses(mapping, devices.addresses.filter(isForeign));
  checkAgainstRoutes(mapping, (await readRoutes()).filter(isForeign));
  if (vxlan) await checkPort(vxlan.port, mapping.address, others, marked);
  else checkTunnel4(mapping.address, devices.links);
  return plan;
}

/** Throws FanError in-use where somebody else receives by the port; where a fan here does, that is us. */
async function checkPort(
  port: number,
  address: number,
  others: readonly FanPlan[],
  marked: ReadonlySet<string>,
): Promise<void> {
  const isOurs = others.some((other) => other.vxlan?.port === port && other.mapping.address === address);
  const holder = isOurs ? undefined : await portHolder(port, address, marked);
  if (holder === undefined) return;
  throw new FanError(
    'in-use',
    `udp port ${port} is held by ${holder}: end that, or say "port N" on every host of this fan`,
  );
}

/** The fan as `show` prints it; the worker will say what io came to. */
export function viewOf(plan: FanPlan, request: UpRequest, state: FanView['state']): FanView {
  const { mapping } = plan;
  return {
    bridge: plan.bridge,
    overlay: formatPrefix(mapping.overlay),
    underlay: `${formatAddress(mapping.address)}/${mapping.underlay.length}`,
    slice: formatPrefix(mapping.slice),
    gateway: formatAddress(mapping.gateway),
    device: plan.underlayDevice,
    mtu: plan.mtu,
    io: request.options.io,
    ioNotes: [],
    workers: plan.workers,
    state,
    health: [],
    flags: formatFlags(request.options),
  };
}
