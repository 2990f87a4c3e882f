/** A state file may say what fand writes: every kind of step that `up` knows, and of each what it records. */
import { expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { leftPortsFault, stateFault } from '../../../src/control/state-shape.js';
import { createMapping } from '../../../src/fan/mapping.js';
import { fanSteps, hostSteps, STEP_KINDS } from '../../../src/host/steps/fan-steps.js';

const PLAN = {
  mapping: createMapping(parsePrefix('250.0.0.0/8'), parseAddress('172.30.0.28'), 16),
  bridge: 'fan-250-0-28',
  tun: 'tun-250-0-28',
  mtu: 1480,
  hostReserve: 1,
  dhcp: true,
  clampMss: true,
  workers: 1,
  underlayDevice: 'eth0',
  runDir: '/run/ufan',
  stateDir: '/var/lib/ufan',
};

const faultOf = (host: unknown) => stateFault({ version: 1, host, fans: [] });

it('the steps of a fan with everything are right', () => {
  expect(faultOf([...hostSteps(), ...fanSteps(PLAN)])).toBeUndefined();
});

it.each([false, true])('so are those of a fan over VXLAN (layer2: %s)', (layer2) => {
  const vxlan = { vni: 16384000, port: 8472, layer2 };
  expect(faultOf([...hostSteps(), ...fanSteps({ ...PLAN, tun: 'tap-250-0-28', vxlan })])).toBeUndefined();
  const device = { vxlan, vxlanDevice: 'vx-250-0-28' };
  expect(faultOf([...hostSteps(), ...fanSteps({ ...PLAN, tun: 'tap-250-0-28', ...device })])).toBeUndefined();
  const wrong = { ...vxlan, port: 70_000 };
  expect(faultOf([...hostSteps(), ...fanSteps({ ...PLAN, vxlan: wrong })])).toMatch(/port$/);
});

it.each(Object.keys(STEP_KINDS))('%s has a line of its own', (kind) => {
  expect(faultOf([{ kind, data: {} }])).not.toBe('host[0].data');
  expect(faultOf([{ kind, data: [] }])).toBe('host[0].data');
});

it.each(['toString', 'hasOwnProperty', '__proto__', ''])('a step "%s" is none', (kind) => {
  expect(faultOf([{ kind, data: {} }])).toBe('host[0].data');
});

it.each([null, [], 'state', { version: 2 }, { version: 1, host: [] }])('%j is no state', (value) => {
  expect(stateFault(value)).toBeDefined();
});

it('ports that a forced down left are names of devices by slice', () => {
  const port = { name: 'veth0', index: 7, hardwareAddress: '02:00:00:00:00:01' };
  expect(leftPortsFault({ '250.0.28.0/24': [port] })).toBeUndefined();
  expect(leftPortsFault({ '250.0.28.0/24': [{ ...port, name: '../x' }] })).toBeDefined();
  expect(leftPortsFault({ '-a': [port] })).toBeDefined();
});
