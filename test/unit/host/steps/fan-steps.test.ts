import { expect, test } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../../src/addr/prefix.js';
import { createMapping } from '../../../../src/fan/mapping.js';
import { macOf } from '../../../../src/host/steps/bridge-step.js';
import { argumentsOf, type DhcpData } from '../../../../src/host/steps/dhcp-step.js';
import { type FanPlan, fanSteps, hostSteps, STEP_KINDS } from '../../../../src/host/steps/fan-steps.js';

function plan(more: Partial<FanPlan> = {}, overlay = '250.0.0.0/8', address = '172.30.0.28', length = 16) {
  const mapping = createMapping(parsePrefix(overlay), parseAddress(address), length);
  return {
    ...{
      mapping,
      bridge: 'fan-250-0-28',
      tun: 'tun-250-0-28',
      mtu: 1480,
      hostReserve: 1,
      dhcp: true,
      clampMss: true,
    },
    ...{ workers: 1, underlayDevice: 'eth0', runDir: '/run/ufan', stateDir: '/var/lib/ufan' },
    ...more,
  };
}

test('every step has a kind, and survives JSON', () => {
  const steps = [...hostSteps(), ...fanSteps(plan())];
  expect(steps.every((step) => step.kind in STEP_KINDS)).toBe(true);
  expect(JSON.parse(JSON.stringify(steps))).toEqual(steps);
});

test('DHCP gives everything between the reserve and the broadcast address', () => {
  const data = fanSteps(plan({ hostReserve: 10 })).find((step) => step.kind === 'dhcp')!.data;
  const args = argumentsOf(data as unknown as DhcpData);
  expect(args).toContain('--dhcp-range=250.0.28.11,250.0.28.254,255.255.255.0,1h');
  expect(args).toContain('--dhcp-lease-max=244');
});

test('DHCP gives the range that it was told, which stays in the slice and behind the reserve', () => {
  const data = fanSteps(plan({ dhcpRange: [2, 127] })).find((step) => step.kind === 'dhcp')!.data;
  const args = argumentsOf(data as unknown as DhcpData);
  expect(args).toContain('--dhcp-range=250.0.28.2,250.0.28.127,255.255.255.0,1h');
  expect(args).toContain('--dhcp-lease-max=126');
  for (const dhcpRange of [
    [1, 127],
    [2, 255],
  ] as const) {
    expect(() => fanSteps(plan({ dhcpRange }))).toThrow(
      `dhcp-range ${dhcpRange.join('-')} does not fit slice 250.0.28.0/24 with host-reserve 1: between 2 and 254`,
    );
  }
});

test('without dhcp there is no DHCP step', () => {
  expect(fanSteps(plan({ dhcp: false })).map((step) => step.kind)).not.toContain('dhcp');
});

test.each([
  [254, false],
  [253, true],
])('a reserve of %i fits a /24 (dhcp %s), one more does not', (hostReserve, dhcp) => {
  expect(() => fanSteps(plan({ hostReserve, dhcp }))).not.toThrow();
  expect(() => fanSteps(plan({ hostReserve: hostReserve + 1, dhcp }))).toThrow(
    `host-reserve ${hostReserve + 1} does not fit slice 250.0.28.0/24: between 1 and ${hostReserve}`,
  );
});

test.each([0, 1.5])('a reserve of %d is refused', (hostReserve) => {
  expect(() => fanSteps(plan({ hostReserve }))).toThrow(/host-reserve/);
});

test('the reverse path is asked for addresses of others', () => {
  const first = fanSteps(plan({}, '250.0.0.0/8', '172.30.0.1')).find((step) => step.kind === 'rp-filter')!;
  expect(first.data.checks).toEqual([
    { device: 'eth0', from: parseAddress('172.30.0.2') },
    { device: 'tun-250-0-28', from: parseAddress('250.0.0.255') },
  ]);
});

test('the MAC is local, unicast, and differs wherever the gateway does', () => {
  expect(macOf('250.0.28.1')).toBe('02:fa:fa:00:1c:01');
});
