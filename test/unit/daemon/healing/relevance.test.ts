/** Which changes of the host have to do with a fan, and are worth a look. */
import { expect, it } from 'vitest';
import { parsePrefix } from '../../../../src/addr/prefix.js';
import type { FanRecord } from '../../../../src/control/state-store.js';
import { Relevance } from '../../../../src/daemon/healing/relevance.js';
import type { Notice } from '../../../../src/io/netlink/host-notices.js';

const FANS = [
  {
    plan: {
      ...{ bridge: 'fan', tun: 'tun', underlayDevice: 'eth0' },
      mapping: { overlay: parsePrefix('250.0.0.0/8'), underlay: parsePrefix('172.30.0.0/16') },
    },
  },
] as unknown as FanRecord[];
const [BRIDGE, OTHER_BRIDGE, PORT] = [5, 6, 7];

function link(
  index: number,
  name: string,
  master = 0,
  more: Partial<Notice & { isUp: boolean }> = {},
): Notice {
  const { isUp = true, ...said } = more;
  const role = { index, name, master, kind: '', isUp, isForwarding: true, vlanFiltering: false };
  return { of: 'link', link: role, isGone: false, isPortState: false, ...said } as Notice;
}

function known(): (notice: Notice) => boolean {
  const relevance = new Relevance();
  const concerns = (notice: Notice) => relevance.concerns(notice, FANS);
  concerns(link(BRIDGE, 'fan'));
  concerns(link(OTHER_BRIDGE, 'br0'));
  concerns(link(PORT, 'veth', BRIDGE));
  return concerns;
}

it("a fan's devices, and the ports of its bridge", () => {
  const concerns = known();
  expect(concerns(link(BRIDGE, 'fan'))).toBe(true);
  expect(concerns(link(OTHER_BRIDGE, 'br0'))).toBe(false);
  expect(concerns(link(PORT, 'veth', BRIDGE))).toBe(true);
  expect(concerns(link(8, 'veth8', OTHER_BRIDGE))).toBe(false);
});

it('what a bridge tells again of a port, as when its timer ends, is no news', () => {
  const concerns = known();
  const again = link(PORT, 'veth', BRIDGE, { isPortState: true });
  expect(concerns(again)).toBe(false);
  expect(concerns(link(PORT, 'veth', BRIDGE, { isPortState: true, isUp: false }))).toBe(true);
  expect(concerns(again)).toBe(true);
  expect(concerns(again)).toBe(false);
  // It has left, which its bridge tells of with its name, and comes back.
  expect(concerns(link(PORT, 'veth', BRIDGE))).toBe(true);
  expect(concerns(link(PORT, 'veth'))).toBe(false);
  expect(concerns(again)).toBe(true);
  // Another link with the index of one that is gone.
  concerns(link(PORT, 'veth', 0, { isGone: true }));
  expect(concerns(again)).toBe(true);
});

it('routes of its networks, and addresses', () => {
  const concerns = known();
  const route = (text: string): Notice => ({ of: 'route', ...parsePrefix(text) });
  expect(concerns(route('250.0.27.0/24'))).toBe(true);
  expect(concerns(route('10.0.0.0/8'))).toBe(false);
  expect(concerns(route('0.0.0.0/0'))).toBe(true);
  expect(concerns({ of: 'address', device: 9 })).toBe(true);
  expect(concerns({ of: 'traffic-control' })).toBe(false);
});
