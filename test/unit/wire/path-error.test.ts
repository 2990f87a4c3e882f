import { expect, it } from 'vitest';
import {
  innerMtu,
  PATH_HOST_UNREACHABLE,
  PATH_IGNORE,
  PATH_PARAMETER_PROBLEM,
  PATH_TOO_BIG,
  pathErrorOf,
} from '../../../src/wire/path-error.js';

it.each([
  ['network unreachable', 3, 0, 0, PATH_HOST_UNREACHABLE],
  ['host unreachable', 3, 1, 0, PATH_HOST_UNREACHABLE],
  ['protocol unreachable', 3, 2, 0, PATH_HOST_UNREACHABLE],
  ['port unreachable', 3, 3, 0, PATH_IGNORE],
  ['fragmentation needed', 3, 4, 1400, PATH_TOO_BIG],
  ['fragmentation needed at the smallest MTU', 3, 4, 68, PATH_TOO_BIG],
  ['fragmentation needed under the smallest MTU', 3, 4, 67, PATH_IGNORE],
  ['fragmentation needed without an MTU', 3, 4, 0, PATH_IGNORE],
  ['source route failed', 3, 5, 0, PATH_IGNORE],
  ['administratively prohibited', 3, 13, 0, PATH_IGNORE],
  ['source quench', 4, 0, 0, PATH_IGNORE],
  ['redirect', 5, 1, 0, PATH_IGNORE],
  ['echo reply', 0, 0, 0, PATH_IGNORE],
  ['time exceeded in transit', 11, 0, 0, PATH_HOST_UNREACHABLE],
  ['time exceeded in reassembly', 11, 1, 0, PATH_HOST_UNREACHABLE],
  ['parameter problem', 12, 0, 0, PATH_PARAMETER_PROBLEM],
])('%s', (_, type, code, mtu, kind) => {
  expect(pathErrorOf(type, code, mtu)).toBe(kind);
});

it('the inner MTU leaves room for the outer header', () => {
  expect(innerMtu(1500)).toBe(1480);
});
