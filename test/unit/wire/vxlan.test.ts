import { expect, it } from 'vitest';
import { DROP, KEEP } from '../../../src/base/drop-reason.js';
import { overheadOf } from '../../../src/fan/encapsulation.js';
import {
  checkArp,
  checkEthernet,
  readVni,
  VXLAN_OUTER_LEN,
  writeAnswering,
} from '../../../src/wire/vxlan.js';

it('adds as many bytes as the fan counts on', () => {
  expect(VXLAN_OUTER_LEN).toBe(overheadOf({ vni: 1, port: 8472, layer2: false }));
});

it.each([
  [0x08000000, 0x00000700, 7],
  [0x08000000, 0xffffff00, 0xffffff],
  [0x08000000, 0x00000701, -1],
  [0x08000001, 0x00000700, -1],
  [0x88000000, 0x00000700, -1],
  [0x00000000, 0x00000700, -1],
])('%i %i is VNI %i', (first, second, vni) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, first);
  view.setUint32(4, second);
  expect(readVni(view, 0)).toBe(vni);
});

it('a frame or ARP that is cut short is judged by what is there', () => {
  const bytes = new Uint8Array(42).fill(2);
  bytes.set([8, 6], 12);
  bytes.set([0, 1, 8, 0, 6, 4, 0, 1], 14);
  for (let length = 0; length < 42; length++) {
    const slab = bytes.slice(0, length);
    const verdict = checkEthernet(slab, 0, length);
    expect(verdict).toBe(length < 14 ? DROP['inner-malformed'] : KEEP);
    expect(checkArp(slab, 0, length)).toBe(DROP['arp-malformed']);
  }
  expect(checkArp(bytes, 0, 42)).toBe(KEEP);
});

it('an answer goes back to whom the frame came from', () => {
  const frame = Uint8Array.from({ length: 14 }, (_, i) => i);
  const answer = new Uint8Array(16);
  writeAnswering(answer, 1, frame, 0);
  expect([...answer]).toEqual([0, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 8, 0, 0]);
});
