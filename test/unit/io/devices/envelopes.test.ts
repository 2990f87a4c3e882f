/** Envelopes among frames: only those with the cookie are opened, the others stay, in their order. */
import { expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Envelopes } from '../../../../src/io/devices/envelopes.js';
import { GSO_TCPV4, NEEDS_CSUM, PacketBatch } from '../../../../src/io/packet-batch.js';
import { batchOf, bytesOf, packet } from '../../dataplane/packets.js';

const COOKIE = [0x01020304, 0x8090a0b0, 0xfffefdfc];
const [US, PEER] = ['172.30.0.28', '172.30.0.27'];
const ENVELOPE = '010203048090a0b0fffefdfc';
const VXLAN = '08000000fa000000';
const FRAME = `02fa0000000102fa000000020800${'45'.repeat(60)}`;

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** As native/bpf/vxlan_decap.bpf.c makes it. */
function envelope({ cookie = ENVELOPE, type = '88b5', to = US, ttl = 61, tos = 3 } = {}): Uint8Array {
  const outer = packet(PEER, to, { payload: 8, ttl, tos });
  return hex(cookie + type + textOf(outer) + VXLAN + FRAME);
}

function takenOut(frames: Uint8Array[]): { kept: string[]; opened: PacketBatch } {
  const rx = batchOf(frames);
  const opened = new PacketBatch(64, rx.slab);
  new Envelopes(COOKIE, parseAddress(US)).takeOut(rx, opened);
  return { kept: Array.from({ length: rx.count }, (_, i) => textOf(bytesOf(rx, i))), opened };
}

it('opens what has the cookie, and leaves the others in their order', () => {
  const others = [
    hex(FRAME),
    envelope({ cookie: '010203048090a0b0fffefdfd' }),
    envelope({ type: '88b6' }),
    envelope().subarray(0, 30),
  ];
  const [a, b, c, d] = others as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const { kept, opened } = takenOut([envelope(), a, b, envelope({ ttl: 9, tos: 0xfc }), c, d, envelope()]);
  expect(kept).toEqual(others.map(textOf));
  expect([0, 1, 2].map((i) => textOf(bytesOf(opened, i)))).toEqual(Array(3).fill(VXLAN + FRAME));
  expect([0, 1, 2].map((i) => formatAddress(opened.address(i)))).toEqual(Array(3).fill(PEER));
  expect([0, 1, 2].map((i) => opened.tag(i))).toEqual([0x3d03, 0x09fc, 0x3d03]);
  expect(opened.count).toBe(3);
});

it('gives what came to another address of this host no source', () => {
  const { opened } = takenOut([envelope({ to: '10.9.9.1' })]);
  expect(formatAddress(opened.address(0))).toBe('0.0.0.0');
});

it('opens that of a frame with a VLAN tag, which has one itself', () => {
  const { kept, opened } = takenOut([envelope({ type: '8100000088b5' }), envelope({ type: '88a8000088b5' })]);
  expect(kept).toHaveLength(1);
  expect(textOf(bytesOf(opened, 0))).toBe(VXLAN + FRAME);
});

it('of a super-packet finds the headers that each segment has', () => {
  const rx = batchOf([envelope()]);
  const tcp = 14 + 36 + 14 + 20;
  rx.slab[rx.offset(0) + tcp + 12] = 8 << 4;
  rx.setVnet(0, NEEDS_CSUM, GSO_TCPV4, 1400, 42);
  rx.setCsum(0, tcp, 16);
  const opened = new PacketBatch(64, rx.slab);
  new Envelopes(COOKIE, parseAddress(US)).takeOut(rx, opened);
  expect([opened.headerLen(0), opened.csumStart(0), opened.gsoSize(0)]).toEqual([8 + 14 + 20 + 32, 42, 1400]);
});
