import { expect, test } from 'vitest';
import { parseRuleset } from '../../../../src/host/firewall/nft.js';
import { chainsThatDrop } from '../../../../src/host/steps/firewall-chains.js';

const base = (name: string, hook: string, more: object = {}) => ({
  chain: { family: 'ip', table: 'filter', name, type: 'filter', hook, prio: 0, policy: 'accept', ...more },
});
const chain = (name: string, table = 'filter') => ({ chain: { family: 'ip', table, name } });
const rule = (name: string, ...expr: object[]) => ({
  rule: { family: 'ip', table: 'filter', chain: name, handle: 1, expr },
});
const DROP = { drop: null };

function found(hook: 'forward' | 'input', ...entries: object[]): string[] {
  const ruleset = parseRuleset(JSON.stringify({ nftables: [{ metainfo: {} }, ...entries] }));
  return chainsThatDrop(ruleset, hook).map((each) => each.name);
}

test('a policy of drop', () => {
  expect(found('forward', base('FORWARD', 'forward', { policy: 'drop' }), base('INPUT', 'input'))).toEqual([
    'FORWARD',
  ]);
});

test.each([
  ['drop', DROP],
  ['reject', { reject: { type: 'icmp', expr: 'port-unreachable' } }],
  ['a target of the old kind', { xt: { type: 'target', name: 'REJECT' } }],
  ['a verdict map', { vmap: { key: { meta: { key: 'iif' } }, data: { set: [['eth0', DROP]] } } }],
  ['a named verdict map', { vmap: { key: { meta: { key: 'iif' } }, data: '@verdicts' } }],
])('a rule with %s', (_, verdict) => {
  expect(found('input', base('INPUT', 'input'), rule('INPUT', { counter: null }, verdict))).toEqual([
    'INPUT',
  ]);
});

test('a drop behind jumps, also in a circle; not one that nothing leads to', () => {
  const jump = (target: string) => ({ jump: { target } });
  const entries = [
    base('INPUT', 'input'),
    base('FORWARD', 'forward'),
    rule('INPUT', jump('a')),
    rule('a', { goto: { target: 'b' } }),
    rule('b', jump('a'), DROP),
    rule('lonely', DROP),
  ];
  expect(found('input', ...entries)).toEqual(['INPUT']);
  expect(found('forward', ...entries)).toEqual([]);
});

test("Docker's own chain comes along where its FORWARD drops", () => {
  const forward = base('FORWARD', 'forward', { policy: 'drop' });
  expect(found('forward', forward, chain('DOCKER-USER'))).toEqual(['FORWARD', 'DOCKER-USER']);
  expect(found('forward', forward, chain('DOCKER-USER', 'other'))).toEqual(['FORWARD']);
  expect(found('forward', base('FORWARD', 'forward'), chain('DOCKER-USER'))).toEqual([]);
});

test.each([
  ['our own tables', { table: 'ufan-fa001c00' }],
  ['NAT', { type: 'nat' }],
  ['IPv6', { family: 'ip6' }],
  ['the bridge family', { family: 'bridge' }],
])('%s: left alone', (_, more) => {
  expect(found('forward', base('FORWARD', 'forward', { policy: 'drop', ...more }))).toEqual([]);
});
