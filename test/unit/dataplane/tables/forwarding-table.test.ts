/** Which fan an address belongs to, and the one shape of entry that the walks are compiled for. */
import { setFlagsFromString } from 'node:v8';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { contains } from '../../../../src/addr/prefix.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { fanSpec } from '../packets.js';

it('makes entries of one shape, however many fans came before', () => {
  setFlagsFromString('--allow-natives-syntax');
  const haveSameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (
    a: object,
    b: object,
  ) => boolean;
  const tableOf = (fans: number) =>
    new ForwardingTable(
      Array.from({ length: fans }, (_, i) => fanSpec(`${i + 10}.0.0.0/8`, '172.30.0.28', 16)),
    );
  const [first, ...others] = [1, 4, 16, 64, 1].flatMap((fans) => tableOf(fans).fans);
  expect(others.every((entry) => haveSameMap(entry, first!))).toBe(true);
});

it('finds the longest overlay over an address, whatever was asked before', () => {
  // Longest first.
  const fans = [
    fanSpec('10.1.4.0/22', '172.30.0.29', 30),
    fanSpec('10.1.0.0/16', '172.30.0.29', 24),
    fanSpec('10.0.0.0/8', '172.30.0.29', 16),
    fanSpec('11.0.0.0/8', '172.30.0.29', 16),
  ];
  const table = new ForwardingTable(fans);
  const address = fc
    .constantFrom('10.0.0.1', '10.1.0.1', '10.1.4.1', '10.1.7.255', '10.1.8.0', '11.9.9.9', '12.0.0.1')
    .map(parseAddress);
  fc.assert(
    fc.property(fc.array(address), (asked) => {
      expect(asked.map((one) => table.fanOf(one | 0)?.id)).toEqual(
        asked.map((one) => fans.find(({ mapping }) => contains(mapping.overlay, one))?.id),
      );
    }),
  );
});
