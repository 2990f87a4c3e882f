import { expect, it } from 'vitest';
import { isConfined, readPrivileges } from '../../../src/daemon/confinement.js';
import { groupNumber } from '../../../src/daemon/socket-group.js';

const status = (effective: string, noNewPrivs: number) =>
  readPrivileges(
    `Name:\tnode\nCapPrm:\tffff\nCapEff:\t${effective}\nNoNewPrivs:\t${noNewPrivs}\nSeccomp:\t0\n`,
  );

it('reads what a thread may do', () => {
  expect(status('000001fffeffffff', 0)).toEqual({ effective: 0x1fffeffffffn, noNewPrivs: false });
});

it('is confined with no more than it needs, and no way back', () => {
  expect(isConfined(status('000000c0000034e0', 1))).toBe(true);
  expect(isConfined(status('0000000000003000', 1))).toBe(true);
  expect(isConfined(status('000000c0000034e0', 0))).toBe(false);
  // sys_admin, as a service has it for the io probe.
  expect(isConfined(status('000000c0002034e0', 1))).toBe(false);
});

it('finds a group by its whole name', () => {
  const groups = 'root:x:0:\nmufan:x:7:\nufan:x:998:alice,bob\n';
  expect(groupNumber(groups, 'ufan')).toBe(998);
  expect(groupNumber(groups, 'fan')).toBeUndefined();
  expect(groupNumber('ufan:x::\n', 'ufan')).toBeUndefined();
});
