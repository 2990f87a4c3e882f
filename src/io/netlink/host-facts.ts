/** What the judge of ICMP errors asks the kernel (HostFacts): devices by name, and whether a router is on the way. */
import { ask } from './ask.js';
import { findDevice } from './device-index.js';
import { decodeRoute, encodeGetRoute, MESSAGE, NETLINK_ROUTE } from './rtnetlink.js';

/** Index of a device, or 0 where there is none. */
export function indexOf(device: string): number {
  return findDevice(device)?.index ?? 0;
}

/** Whether packets from `source`, an address of ours, go to `destination` by a router. Addresses int32 or u32. */
export function isRouted(destination: number, source: number): boolean {
  const answer = ask(NETLINK_ROUTE, encodeGetRoute(destination >>> 0, source >>> 0));
  const route = answer?.type === MESSAGE.newRoute ? decodeRoute(answer) : undefined;
  return route?.gateway !== undefined;
}
