import { describe, expect, it, test } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../../src/addr/prefix.js';
import { createMapping } from '../../../../src/fan/mapping.js';
import { type GuardedPlan, judgeSource } from '../../../../src/host/firewall/guard.js';
import { type GuardedFan, rulesOf } from '../../../../src/host/steps/guard-rules.js';
import { decodeCounter, encodeGetCounters } from '../../../../src/io/netlink/named-counters.js';
import { decodeMessages } from '../../../../src/io/netlink/rtnetlink.js';

function fan(overlay: string, more: Partial<GuardedPlan> = {}): GuardedPlan {
  const mapping = createMapping(parsePrefix(overlay), parseAddress('172.30.0.28'), 16);
  const name = `${overlay.split('.')[0]}-0-28`;
  return { mapping, bridge: `fan-${name}`, tun: `tun-${name}`, hostReserve: 2, ...more };
}

describe('whom the guard takes a packet from', () => {
  const fans = [fan('250.0.0.0/8'), fan('251.0.0.0/8', { foreignSources: true })];
  it.each([
    ['lo', '250.0.28.1', undefined],
    ['tun-250-0-28', '250.0.27.2', undefined],
    ['fan-250-0-28', '250.0.28.3', undefined],
    ['fan-250-0-28', '250.0.28.254', undefined],
    ['fan-250-0-28', '250.0.28.1', 'bridge-source'],
    ['fan-250-0-28', '250.0.28.2', 'bridge-source'],
    ['fan-250-0-28', '250.0.28.255', 'bridge-source'],
    ['fan-250-0-28', '250.0.27.2', 'bridge-source'],
    ['fan-250-0-28', '251.0.28.3', 'bridge-source'],
    ['fan-250-0-28', '8.8.8.8', 'bridge-source'],
    ['fan-251-0-28', '8.8.8.8', undefined],
    ['fan-251-0-28', '251.0.28.1', 'bridge-source'],
    ['fan-251-0-28', '251.0.27.2', 'bridge-source'],
    ['fan-251-0-28', '250.0.28.3', 'overlay-source-astray'],
    ['eth0', '250.0.27.2', 'overlay-source-astray'],
    ['eth0', '251.0.28.3', 'overlay-source-astray'],
    ['eth0', '8.8.8.8', undefined],
  ])('by %s from %s: %s', (device, source, reason) => {
    expect(judgeSource(fans, device, parseAddress(source))?.reason).toBe(reason);
  });
});

const GUARDED: GuardedFan = {
  ...{ key: 'fa001c00', bridge: 'fan-250-0-28', tun: 'tun-250-0-28' },
  ...{ overlay: '250.0.0.0/8', slice: '250.0.28.0/24', underlay: '172.30.0.0/16' },
  ...{ hostReserve: 1, address: '172.30.0.28' },
  ...{ dhcp: true, foreignSources: false, arrival: { device: 'eth0', isThere: true } },
};

test('the underlay device is known by name and by index, as long as it is there', () => {
  const tunnelRule = (arrival: GuardedFan['arrival']) =>
    JSON.stringify(
      rulesOf({ ...GUARDED, arrival }).find(({ expr }) => JSON.stringify(expr).includes('tunnel-astray')),
    );
  expect(tunnelRule({ device: 'eth0', isThere: true })).toMatch(
    /"iifname"}},"right":"eth0".*"iif"}},"right":"eth0"/,
  );
  expect(tunnelRule({ device: 'eth0', isThere: false })).not.toContain('"iif"');
  expect(tunnelRule(undefined)).toMatch(/"fib":{"result":"oif","flags":\["saddr","iif"\]}/);
});

test('without dnsmasq its port is nobody’s concern', () => {
  expect(JSON.stringify(rulesOf(GUARDED))).toContain('service-astray');
  expect(JSON.stringify(rulesOf({ ...GUARDED, dhcp: false }))).not.toContain('service-astray');
});

test('with foreign-sources what is in no overlay goes on, and is judged as by any other device', () => {
  const fromBridge = (foreignSources: boolean) =>
    rulesOf({ ...GUARDED, foreignSources })
      .filter(({ chain }) => chain === 'bridge-fa001c00')
      .map(({ expr }) => expr);
  const last = fromBridge(false).at(-1);
  expect(last).toEqual([{ counter: 'bridge-source-fa001c00' }, { drop: null }]);
  expect(fromBridge(true).slice(-2)).toEqual([
    [expect.objectContaining({ match: expect.anything() }), ...last!],
    [{ goto: { target: 'elsewhere' } }],
  ]);
});

test('a question for counters names the table; what is no counter is passed over', () => {
  const [question] = decodeMessages(encodeGetCounters('ufan-guard'));
  expect(question?.type).toBe(0x0a13);
  expect(new TextDecoder().decode(question!.body)).toContain('ufan-guard');
  expect(decodeCounter(question!)).toBeUndefined();
});
