/** What the guard's rules may ask of a device: a card has no kind, and a rule that asks for any never matches there. */
import { expect, it } from 'vitest';
import {
  arrivalsOf,
  type GuardedFan,
  rulesOf,
  SHARED_RULES,
} from '../../../../src/host/steps/guard-rules.js';

const FAN: GuardedFan = {
  key: 'fa001c00',
  bridge: 'fan-250-0-28',
  tun: 'tun-250-0-28',
  overlay: '250.0.0.0/8',
  slice: '250.0.28.0/24',
  underlay: '172.30.0.0/16',
  hostReserve: 1,
  address: '172.30.0.28',
  dhcp: true,
  dns: true,
  foreignSources: true,
  arrival: { device: 'eth0', isThere: true },
};

it('no rule that drops asks for the kind of a device', () => {
  const vxlan = { vni: 16384000, port: 8472, layer2: true };
  for (const fan of [FAN, { ...FAN, vxlan }, { ...FAN, arrival: undefined }]) {
    const drops = rulesOf(fan).filter(({ expr }) => expr.some((each) => 'drop' in each));
    expect(drops.length).toBeGreaterThan(10);
    expect(JSON.stringify(drops)).not.toContain('kind');
  }
});

it('what a VRF shows once more is let through before', () => {
  const seen = { match: { op: '==', left: { meta: { key: 'iifkind' } }, right: 'vrf' } };
  for (const chain of ['prerouting', 'input']) {
    const rules = SHARED_RULES.filter((rule) => rule.chain === chain).map(({ expr }) => expr);
    expect(rules.slice(-2)).toEqual([
      [seen, { accept: null }],
      [expect.objectContaining({ goto: expect.anything() })],
    ]);
  }
});

it('notrack adds one rule each way, and takes none away', () => {
  const notrack = { ...FAN, notrack: true };
  const plain = rulesOf(FAN).map((rule) => JSON.stringify(rule));
  const added = rulesOf(notrack).filter((rule) => !plain.includes(JSON.stringify(rule)));
  expect(rulesOf(notrack)).toHaveLength(plain.length + 2);
  expect(added.map(({ chain }) => chain)).toEqual(['bridge-fa001c00', 'inward-fa001c00']);
  for (const { expr } of added) expect(expr.slice(-2)).toEqual([{ notrack: null }, { accept: null }]);
  expect(arrivalsOf(FAN)).toContainEqual(['tun-250-0-28', { accept: null }]);
  expect(arrivalsOf(notrack)).toContainEqual(['tun-250-0-28', { goto: { target: 'inward-fa001c00' } }]);
});
