/** Which repairs there are is said by the steps alone: no name that every object has is one. */
import { expect, it } from 'vitest';
import { StateStore } from '../../../src/control/state-store.js';
import { Repairer } from '../../../src/daemon/repair.js';
import { protocolNumber } from '../../../src/host/firewall/packet-verdict.js';

const state = { version: 1 as const, host: [], fans: [], removeRunDir: false };

it.each(['toString', 'constructor', '__proto__', 'nonsense'])('"%s" is no repair', async (name) => {
  const repairer = new Repairer(state, new StateStore('/nonexistent/state.json'));
  await expect(repairer.repair([name as never], [])).rejects.toThrow(`no such repair: ${name}`);
});

it.each(['toString', 'constructor', '__proto__'])('"%s" is no protocol', (name) => {
  expect(protocolNumber(name)).toBe(-1);
});
