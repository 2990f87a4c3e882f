/** Loopback and fault injector keep the contract of the real devices. */
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { FaultInjector, type Faults } from '../../src/io/devices/fault-injector.js';
import { Loopback } from '../../src/io/devices/loopback.js';
import { GSO_TCPV4, HEADROOM, MAX_PACKET, NEEDS_CSUM, PacketBatch } from '../../src/io/packet-batch.js';
import { Poller } from '../../src/io/poller.js';

/** `count` packets of different lengths; the first byte numbers them. */
function numbered(count: number): PacketBatch {
  const batch = PacketBatch.create(count, count * 1024);
  for (let i = 0; i < count; i++) {
    const length = 20 + i;
    batch.slab.fill(i, i * 1024 + 64, i * 1024 + 64 + length);
    batch.setRange(i, i * 1024 + 64, length);
    batch.setVnet(i, NEEDS_CSUM, GSO_TCPV4, 1400, 52);
  }
  batch.count = count;
  return batch;
}

function numbers(batch: PacketBatch): number[] {
  return Array.from({ length: batch.count }, (_, i) => batch.slab[batch.offset(i)]!);
}

test('loopback delivers packets and descriptors, with headroom, over several receives', () => {
  const [left, right] = Loopback.pair();
  const poller = Poller.open();
  const ready = new Int32Array(2);
  const batch = PacketBatch.create(4, 1 << 16);
  poller.add(right.fd, 1);
  expect(poller.wait(ready, 0)).toBe(0);
  expect(left.send(numbered(10))).toBe(0);
  const seen: number[] = [];
  while (poller.wait(ready, 0) > 0) {
    right.receive(batch);
    for (let i = 0; i < batch.count; i++) {
      expect(batch.offset(i) % 4).toBe(0);
      const end = i === 0 ? 0 : batch.offset(i - 1) + batch.length(i - 1);
      expect(batch.offset(i) - end).toBeGreaterThanOrEqual(HEADROOM);
      expect([batch.flags(i), batch.gsoSize(i)]).toEqual([NEEDS_CSUM, 1400]);
    }
    seen.push(...numbers(batch));
  }
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  poller.close();
  left.close();
  expect(right.send(numbered(1))).toBe(1);
  right.close();
});

test('a full loopback fails what it has no room for, and only that', () => {
  const [left, right] = Loopback.pair(3);
  const batch = numbered(5);
  expect(left.send(batch)).toBe(2);
  expect([0, 1, 2, 3, 4].map((i) => batch.error(i))).toEqual([
    0,
    0,
    0,
    constants.errno.ENOBUFS,
    constants.errno.ENOBUFS,
  ]);
  left.close();
  right.close();
});

function through(faults: Faults, seed: number): PacketBatch {
  const [left, right] = Loopback.pair();
  const injector = new FaultInjector(right, faults, seed);
  const batch = PacketBatch.create(200, HEADROOM + MAX_PACKET);
  left.send(numbered(40));
  expect(injector.fd).toBe(right.fd);
  injector.receive(batch);
  left.close();
  right.close();
  return batch;
}

test('faults are those asked for, and the seed repeats them', () => {
  const all = Array.from({ length: 40 }, (_, i) => i);
  expect(numbers(through({}, 1))).toEqual(all);
  expect(numbers(through({ drop: 1 }, 1))).toEqual([]);
  expect(numbers(through({ duplicate: 1 }, 1))).toEqual(all.flatMap((i) => [i, i]));
  const some = numbers(through({ drop: 0.5 }, 3));
  expect(some.length).toBeGreaterThan(5);
  expect(some.length).toBeLessThan(35);
  expect(numbers(through({ drop: 0.5 }, 3))).toEqual(some);
  const swapped = numbers(through({ reorder: 0.3 }, 3));
  expect(swapped).not.toEqual(all);
  const damaged = through({ corrupt: 1 }, 3);
  for (let i = 0; i < damaged.count; i++) {
    const bytes = damaged.slab.subarray(damaged.offset(i), damaged.offset(i) + damaged.length(i));
    expect(bytes.filter((byte) => byte !== i).length).toBe(1);
  }
});
