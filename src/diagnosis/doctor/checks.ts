/** The checks of `fanctl doctor`, in the order in which they are shown: from the machine up to the packets. */
import { containerMtu } from './container-mtu.js';
import { fanDead, fandDead, stateLost } from './daemon.js';
import { bridgeChanged, duplicateMac, tunChanged, vxlanDeviceChanged } from './devices.js';
import { dhcpDead, namesDead } from './dhcp.js';
import { countersWrong, forgedSource, guardDrops, overflow } from './drops.js';
import type { Check } from './finding.js';
import {
  acceptsMissing,
  bridgeNetfilter,
  dhcpBlocked,
  guardMissing,
  isolationMissing,
  natRulesMissing,
} from './firewall.js';
import { forwardDrop } from './inner-drops.js';
import { ipForwardOff } from './ip-forward.js';
import { kernelRegression, programMissing, slowClock, tunDeviceMissing } from './machine.js';
import { offloadsOff } from './offloads.js';
import { protocol4Blocked, udpBlocked } from './outer-drops.js';
import { overlayNat } from './overlay-nat.js';
import { programsDetached } from './programs.js';
import { relayBroken } from './relay.js';
import { routeMissing, routeOverridden } from './routes.js';
import { rpFilter } from './rp-filter.js';
import { udpPortShared } from './udp-port.js';
import { addressChanged, kernelTunnel, underlayDown, underlayMtu } from './underlay.js';

/** Those that are true whatever network namespace fand serves. */
export const ANYWHERE: readonly Check[] = [
  programMissing,
  tunDeviceMissing,
  kernelRegression,
  slowClock,
  fandDead,
];

export const CHECKS: readonly Check[] = [
  ...ANYWHERE,
  fanDead,
  stateLost,
  underlayDown,
  addressChanged,
  underlayMtu,
  kernelTunnel,
  udpPortShared,
  bridgeChanged,
  tunChanged,
  vxlanDeviceChanged,
  relayBroken,
  programsDetached,
  containerMtu,
  duplicateMac,
  routeMissing,
  routeOverridden,
  ipForwardOff,
  rpFilter,
  forwardDrop,
  overlayNat,
  bridgeNetfilter,
  protocol4Blocked,
  udpBlocked,
  dhcpBlocked,
  natRulesMissing,
  guardMissing,
  isolationMissing,
  acceptsMissing,
  dhcpDead,
  namesDead,
  offloadsOff,
  overflow,
  countersWrong,
  forgedSource,
  guardDrops,
];
