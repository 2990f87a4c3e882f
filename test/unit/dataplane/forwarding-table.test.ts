/** What V8 makes of a table: the walks are compiled for one shape of entry. */
import { setFlagsFromString } from 'node:v8';
import { expect, it } from 'vitest';
import { ForwardingTable } from '../../../src/dataplane/forwarding-table.js';
import { fanSpec } from './packets.js';

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
