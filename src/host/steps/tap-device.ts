/**
 * What the device of a VXLAN fan has beside that of an IP-in-IP fan (tun-step.ts): it is a TAP, since what travels are
 * Ethernet frames.
 *
 *   routed   the kernel asks for the hosts of the overlay by ARP, through the tunnel; for the slice it answers
 *            itself, at once, with the device's own MAC (proxy_arp), so that hosts of the layer-2 kind find its containers
 *   layer 2  the device is a port of the fan's bridge, and has no address: containers ask for each other themselves
 */
import { findLink } from '../links.js';
import { run } from '../run.js';
import { disableIpv6, writeSysctl } from '../sysctl.js';

export interface TapData {
  readonly hardwareAddress: string;
  /** The bridge that it is a port of. */
  readonly bridge?: string;
}

/** Gives the device `tap` what `data` says; it is there and down, or as an earlier call left it. */
export async function configureTap(tap: string, { hardwareAddress, bridge }: TapData): Promise<void> {
  await disableIpv6(tap);
  // Set anew, also as it was, it makes the kernel forget all neighbours there.
  if ((await findLink(tap))?.hardwareAddress !== hardwareAddress)
    await run('ip', ['link', 'set', 'dev', tap, 'address', hardwareAddress]);
  if (bridge !== undefined) {
    await run('ip', ['link', 'set', 'dev', tap, 'master', bridge]);
    // The walk drops what is for a group: it need not come. What is for all has ARP among it.
    await run('ip', ['link', 'set', 'dev', tap, 'type', 'bridge_slave', 'mcast_flood', 'off']);
    return;
  }
  await run('ip', ['link', 'set', 'dev', tap, 'nomaster']);
  await writeSysctl(`ipv4/conf/${tap}/proxy_arp`, '1');
  await writeSysctl(`ipv4/conf/${tap}/send_redirects`, '0');
  // Else an answer waits up to 0.8 s, at random.
  await writeSysctl(`ipv4/neigh/${tap}/proxy_delay`, '0');
}
