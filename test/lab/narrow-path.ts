/**
 * A path in a lab of four hosts that carries less than its ends do, and routers that say so:
 *
 *   host 1 ── 1500 ── host 3 ── 1400 ── host 4 ── 1500 ── host 2
 */
import type { Lab } from '../../bench/lab/lab.js';

/** The routers know the hosts, and no more. */
export async function buildNarrowPath(lab: Lab): Promise<void> {
  const [one, two, near, far] = [lab.host(1), lab.host(2), lab.host(3), lab.host(4)];
  await lab.wire.ip(
    'link add beyond type bridge forward_delay 0',
    'link set beyond up',
    'link set h2 master beyond',
    'link set h4 master beyond',
  );
  await near.ip(
    `link add eth1 mtu 1400 type veth peer name eth1 mtu 1400 netns ${far.name}`,
    'address add 10.0.0.1/30 dev eth1',
    'link set eth1 up',
  );
  await far.ip('address add 10.0.0.2/30 dev eth1', 'link set eth1 up');
  await near.ip(`route add ${two.address} via 10.0.0.2`, 'route add unreachable 172.30.0.77');
  await far.ip(`route add ${one.address} via 10.0.0.1`);
  for (const router of [near, far]) {
    await router.sysctl('net/ipv4/ip_forward', 1);
    await router.sysctl('net/ipv4/conf/all/rp_filter', 0);
    await router.sysctl('net/ipv4/conf/eth0/rp_filter', 0);
  }
  await one.ip(`route add ${two.address} via ${near.address}`, `route add 172.30.0.77 via ${near.address}`);
  await two.ip(`route add ${one.address} via ${far.address}`);
}
