/** What is made of the kernel's words about links. */
import { expect, it } from 'vitest';
import { decodeRouteNotice } from '../../../../src/io/netlink/host-notices.js';
import { MESSAGE, type Message } from '../../../../src/io/netlink/rtnetlink.js';

const [UNSPEC, BRIDGE] = [0, 7];
/** Attribute IFLA_MASTER (10) with index 5. */
const MASTER = [8, 0, 10, 0, 5, 0, 0, 0];

function told(type: number, family: number, attributes: readonly number[] = []) {
  const bytes = Uint8Array.from([family, 0, 1, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, ...attributes]);
  const message = { type, body: new DataView(bytes.buffer) } as unknown as Message;
  return decodeRouteNotice(message);
}

it.each([
  ['a link', MESSAGE.newLink, UNSPEC, MASTER, { isGone: false, isPortState: false }],
  ['a port, by its bridge', MESSAGE.newLink, BRIDGE, MASTER, { isGone: false, isPortState: true }],
  [
    'a port that leaves, by its bridge',
    MESSAGE.delLink,
    BRIDGE,
    MASTER,
    { isGone: false, isPortState: false },
  ],
  ['a link that is gone', MESSAGE.delLink, UNSPEC, [], { isGone: true, isPortState: false }],
] as const)('%s', (_, type, family, attributes, what) => {
  expect(told(type, family, attributes)).toMatchObject({
    of: 'link',
    link: { index: 7, isUp: true },
    ...what,
  });
});
