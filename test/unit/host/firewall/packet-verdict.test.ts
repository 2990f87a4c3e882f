/** What a firewall would do to a packet: rules as `nft -j -p list ruleset` and `iptables-legacy -S` print them. */
import { describe, expect, it, test } from 'vitest';
import { formatPrefix, parsePrefix } from '../../../../src/addr/prefix.js';
import { legacyBases } from '../../../../src/host/firewall/legacy-verdict.js';
import { parseRuleset } from '../../../../src/host/firewall/nft.js';
import { nftBases, parseNftText } from '../../../../src/host/firewall/nft-verdict.js';
import { findDrop, networksInside, type PacketKind } from '../../../../src/host/firewall/packet-verdict.js';

/** TCP from a container to another host's. */
const PACKET: PacketKind = {
  input: 'fan-250-0-28',
  output: 'tun-250-0-28',
  source: parsePrefix('250.0.28.0/24'),
  destination: parsePrefix('250.0.0.0/8'),
  protocol: 6,
  state: 'new',
};
const DROP = { drop: null };
const ACCEPT = { accept: null };
const COUNTER = { counter: { packets: 1, bytes: 40 } };

const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } });
const meta = (key: string) => ({ meta: { key } });
const field = (protocol: string, name: string) => ({ payload: { protocol, field: name } });
const prefix = (text: string) => ({ prefix: { addr: text.split('/')[0], len: Number(text.split('/')[1]) } });

function chain(name: string, more: object = {}) {
  return { chain: { family: 'inet', table: 't', name, ...more } };
}
function base(policy = 'accept', hook = 'forward', name = 'f') {
  return chain(name, { type: 'filter', hook, prio: 0, policy });
}
let handle = 1;
function rule(name: string, ...expr: object[]) {
  return { rule: { family: 'inet', table: 't', chain: name, handle: handle++, expr } };
}

function verdict(entries: readonly object[], packet = PACKET, text = ''): string {
  const ruleset = parseRuleset(JSON.stringify({ nftables: [{ metainfo: {} }, ...entries] }));
  const drop = findDrop(nftBases(ruleset, parseNftText(text)), 'forward', packet);
  if (!drop) return 'passes';
  return drop.isSure ? 'dropped' : 'unsure';
}

describe('one rule that drops', () => {
  it.each<[string, object[]]>([
    ['without a match', []],
    ['by its device', [match(meta('iifname'), 'fan-250-0-28')]],
    ['by the begin of its name', [match(meta('oifname'), 'tun-*')]],
    ['by a set of devices', [match(meta('oifname'), { set: ['eth0', 'tun-250-0-28'] })]],
    ['by not being another device', [match(meta('iifname'), 'docker0', '!=')]],
    ['by its source', [match(field('ip', 'saddr'), prefix('250.0.0.0/8'))]],
    ['by a range', [match(field('ip', 'saddr'), { range: ['250.0.28.0', '250.0.28.255'] })]],
    ['by its destination', [match(field('ip', 'daddr'), prefix('250.0.0.0/8'))]],
    ['by its protocol, as a number', [match(field('ip', 'protocol'), 6)]],
    ['by its protocol, as a name', [match(meta('l4proto'), { set: ['tcp', 'udp'] })]],
    ['by its family', [match(meta('nfproto'), 'ipv4')]],
    ['by its state', [match({ ct: { key: 'state' } }, ['invalid', 'new'], 'in')]],
    ['behind a counter', [COUNTER]],
  ])('drops %s', (_, expr) => {
    expect(verdict([base(), rule('f', ...expr, DROP)])).toBe('dropped');
  });

  it.each<[string, object[]]>([
    ['for another device', [match(meta('iifname'), 'docker0')]],
    ['for no device of its', [match(meta('oifname'), 'tun-250-0-28', '!=')]],
    ['for another network', [match(field('ip', 'saddr'), prefix('10.0.0.0/8'))]],
    ['for one address of many', [match(field('ip', 'saddr'), '250.0.28.7')]],
    ['for another protocol', [match(meta('l4proto'), 'ipencap')]],
    ['for a port of another protocol', [match(field('udp', 'dport'), 53)]],
    ['for one port', [match(field('tcp', 'dport'), 80)]],
    ['for a connection that stands', [match({ ct: { key: 'state' } }, ['established', 'related'], 'in')]],
    ['at a limit', [{ limit: { rate: 1, per: 'second' } }]],
    ['for a mark', [match(meta('mark'), 7)]],
    ['by a match of iptables', [{ xt: { type: 'match', name: 'recent' } }]],
    ['at a limit for each sender, by a meter', [{ meter: { name: 'm', stmt: { limit: { rate: 9 } } } }]],
    ['at a limit for each sender', [{ set: { op: 'add', set: '@m', stmt: [{ limit: { rate: 9 } }] } }]],
  ])('lets pass %s', (_, expr) => {
    expect(verdict([base(), rule('f', ...expr, DROP)])).toBe('passes');
  });
});

describe('a named set', () => {
  const saddr = field('ip', 'saddr');
  const set = (...elem: unknown[]) => ({ set: { family: 'inet', table: 't', name: 's', elem } });
  const wrapped = { elem: { val: prefix('250.0.0.0/8'), expires: 9 } };
  const pair = (a: unknown, b: unknown) => ({ concat: [a, b] });

  it.each<[string, object, object, string, string]>([
    ['of a network', set(prefix('10.0.0.0/8'), prefix('250.0.0.0/8')), saddr, '==', 'dropped'],
    ['of a range', set({ range: ['250.0.28.0', '250.0.28.255'] }), saddr, '==', 'dropped'],
    [
      'whose parts make up the whole',
      set(prefix('250.0.28.128/25'), prefix('250.0.28.0/25')),
      saddr,
      '==',
      'dropped',
    ],
    ['with a timeout', set(wrapped), saddr, '==', 'dropped'],
    ['of other networks', set(prefix('10.0.0.0/8'), '1.2.3.4'), saddr, '==', 'passes'],
    ['of one address of many', set('250.0.28.7'), saddr, '==', 'passes'],
    ['of nothing', set(), saddr, '==', 'passes'],
    ['of those that may pass', set(prefix('250.0.0.0/8')), saddr, '!=', 'passes'],
    ['of others that may pass', set(prefix('10.0.0.0/8')), saddr, '!=', 'dropped'],
    ['of protocols', set(6, 17), meta('l4proto'), '==', 'dropped'],
    ['of devices', set('eth0', 'fan-*'), meta('iifname'), '==', 'dropped'],
    ['of everything', set('1.2.3.4', '*'), saddr, '==', 'dropped'],
    ['of pairs', set(pair(prefix('250.0.0.0/8'), 6)), pair(saddr, meta('l4proto')), '==', 'dropped'],
    ['of other pairs', set(pair(prefix('250.0.0.0/8'), 17)), pair(saddr, meta('l4proto')), '==', 'passes'],
    ['of pairs with ports', set(pair(6, 80)), pair(meta('l4proto'), field('th', 'dport')), '==', 'passes'],
    ['of what is no address', set({ map: 1 }), saddr, '==', 'unsure'],
    ['that is not there', chain('other'), saddr, '==', 'unsure'],
  ])('%s', (_, named, left, op, expected) => {
    expect(verdict([base(), named, rule('f', match(left, '@s', op), DROP)])).toBe(expected);
  });

  it('is of its own table', () => {
    const other = { set: { family: 'ip', table: 't', name: 's', elem: [prefix('250.0.0.0/8')] } };
    expect(verdict([base(), other, rule('f', match(saddr, '@s'), DROP)])).toBe('unsure');
  });

  it('that can not be read is a doubt of what it leads to, but not beside what is known not to fit', () => {
    const unread = match(saddr, '@gone');
    const into = { jump: { target: 'c' } };
    expect(verdict([base(), chain('c'), rule('f', unread, into), rule('c', DROP)])).toBe('unsure');
    expect(verdict([base(), chain('c'), rule('f', unread, into), rule('c', ACCEPT)])).toBe('passes');
    expect(verdict([base(), rule('f', unread, match(meta('iifname'), 'docker0'), DROP)])).toBe('passes');
    expect(verdict([base(), rule('f', unread, match(field('tcp', 'dport'), 22), DROP)])).toBe('passes');
    expect(verdict([base(), rule('f', unread, ACCEPT), rule('f', DROP)])).toBe('unsure');
  });

  it('is among what the rules name', () => {
    const entries = [
      base(),
      set(prefix('250.0.30.0/24'), prefix('10.0.0.0/8'), '250.0.28.2', '250.0.28.2'),
      rule('f', match(saddr, '@s'), DROP),
      rule('f', match(field('ip', 'daddr'), { range: ['250.9.0.1', '250.9.0.5'] }), DROP),
      rule('f', match(field('ip', 'daddr'), prefix('250.0.0.0/8')), DROP),
    ];
    const ruleset = parseRuleset(JSON.stringify({ nftables: entries }));
    const named = (hooks: string[], most: number) =>
      networksInside(nftBases(ruleset, parseNftText('')), hooks, parsePrefix('250.0.0.0/8'), most).map(
        formatPrefix,
      );
    expect(named(['forward'], 9)).toEqual(['250.0.30.0/24', '250.0.28.2/32', '250.9.0.1/32']);
    expect(named(['forward'], 1)).toEqual(['250.0.30.0/24']);
    expect(named(['input'], 9)).toEqual([]);
  });
});

test('before connection tracking a packet is invalid, from then on new', () => {
  const at = (prio: number, state: string) => [
    chain('f', { type: 'filter', hook: 'prerouting', prio, policy: 'accept' }),
    rule('f', match({ ct: { key: 'state' } }, state), DROP),
  ];
  const passes = (entries: readonly object[]) => {
    const ruleset = parseRuleset(JSON.stringify({ nftables: entries }));
    return findDrop(nftBases(ruleset, parseNftText('')), 'prerouting', PACKET) === undefined;
  };
  expect(passes(at(-300, 'invalid'))).toBe(false);
  expect(passes(at(-300, 'new'))).toBe(true);
  expect(passes(at(-150, 'invalid'))).toBe(true);
  expect(passes(at(-150, 'new'))).toBe(false);
});

test('a policy of drop, and rules that save from it', () => {
  expect(verdict([base('drop')])).toBe('dropped');
  expect(verdict([base('drop'), rule('f', match(meta('iifname'), 'fan-250-0-28'), ACCEPT)])).toBe('passes');
  expect(verdict([base('drop'), rule('f', match(meta('mark'), 7), ACCEPT)])).toBe('unsure');
  expect(verdict([base('drop'), rule('f', match(meta('iifname'), 'docker0'), ACCEPT)])).toBe('dropped');
});

test('jump comes back, goto does not, return ends the chain', () => {
  const into = (how: string) => [
    base('drop'),
    chain('c'),
    rule('f', { [how]: { target: 'c' } }),
    rule('f', ACCEPT),
  ];
  expect(verdict(into('jump'))).toBe('passes');
  expect(verdict(into('goto'))).toBe('dropped');
  expect(verdict([...into('jump'), rule('c', { return: null }), rule('c', DROP)])).toBe('passes');
  expect(
    verdict([...into('jump'), rule('c', match(meta('mark'), 7), { return: null }), rule('c', DROP)]),
  ).toBe('unsure');
});

test('a circle of jumps ends', () => {
  expect(
    verdict([base(), chain('c'), rule('f', { jump: { target: 'c' } }), rule('c', { jump: { target: 'c' } })]),
  ).toBe('passes');
});

test('a verdict map takes the element that fits', () => {
  const map = (...set: [unknown, object][]) => rule('f', { vmap: { key: meta('l4proto'), data: { set } } });
  expect(verdict([base(), map(['udp', DROP], ['tcp', ACCEPT]), rule('f', DROP)])).toBe('passes');
  expect(verdict([base(), map(['tcp', DROP])])).toBe('dropped');
  expect(verdict([base(), map(['tcp', ACCEPT], ['*', DROP])])).toBe('passes');
  expect(verdict([base(), map(['udp', ACCEPT], ['*', DROP])])).toBe('dropped');
});

test('a named verdict map', () => {
  const pair = { concat: [meta('iifname'), meta('l4proto')] };
  const named = (...elem: unknown[]) => ({
    map: { family: 'inet', table: 't', name: 'v', map: 'verdict', elem },
  });
  const byName = rule('f', { vmap: { key: meta('iifname'), data: '@v' } });
  expect(verdict([base(), named(['fan-250-0-28', DROP]), byName])).toBe('dropped');
  expect(verdict([base(), named(['eth0', DROP], ['*', ACCEPT]), byName])).toBe('passes');
  expect(verdict([base(), byName])).toBe('unsure');
  const byPair = rule('f', { vmap: { key: pair, data: '@v' } });
  expect(verdict([base(), named([{ concat: ['fan-250-0-28', 6] }, DROP]), byPair])).toBe('dropped');
  expect(verdict([base(), named([{ concat: ['fan-250-0-28', 17] }, DROP]), byPair])).toBe('passes');
});

test('a drop of any base chain is final, an accept is not', () => {
  expect(verdict([base(), rule('f', ACCEPT), base('drop', 'forward', 'g')])).toBe('dropped');
  expect(verdict([base(), base('drop', 'input', 'g')])).toBe('passes');
});

test('states that iptables asks for are read from the text', () => {
  const entries = [base('drop'), rule('f', { xt: { type: 'match', name: 'conntrack' } }, ACCEPT)];
  const text = (states: string) =>
    `table inet t { # handle 1\n\tchain f { # handle 1\n\t\tct state ${states} counter packets 0 bytes 0 accept # handle ${handle - 1}\n\t}\n}`;
  expect(verdict(entries)).toBe('unsure');
  expect(verdict(entries, PACKET, text('related,established'))).toBe('dropped');
  expect(verdict(entries, PACKET, text('new,established'))).toBe('passes');
});

test('what is not tracked has its state from our rules on', () => {
  const untracked = { ...PACKET, state: 'untracked' } as const;
  const at = (prio: number) => {
    const early = chain('f', { type: 'filter', hook: 'prerouting', prio, policy: 'accept' });
    const ruleset = parseRuleset(
      JSON.stringify({
        nftables: [early, rule('f', match({ ct: { key: 'state' } }, 'invalid'), DROP)],
      }),
    );
    return findDrop(nftBases(ruleset, parseNftText('')), 'prerouting', untracked)?.isSure ?? false;
  };
  expect([-400, -300, 0].map(at)).toEqual([true, false, false]);
});

test('the devices of a chain at ingress are read from the text', () => {
  const text =
    'table netdev d {\n\tchain one {\n\t\ttype filter hook ingress device "eth0" priority filter; policy accept;\n\t}\n' +
    '\tchain two {\n\t\ttype filter hook ingress devices = { "a.b", eth1 } priority 5; policy accept;\n\t}\n}';
  expect([...parseNftText(text).devices]).toEqual([
    ['netdev d one', ['eth0']],
    ['netdev d two', ['a.b', 'eth1']],
  ]);
});

describe('the old iptables', () => {
  const dropped = (...lines: string[]) => {
    const drop = findDrop(legacyBases(lines.join('\n')), 'forward', PACKET);
    return drop ? `${drop.isSure ? '' : 'perhaps '}${drop.by}` : 'passes';
  };

  it.each([
    [['-P FORWARD DROP'], 'iptables-legacy chain FORWARD (policy drop)'],
    [
      ['-P FORWARD ACCEPT', '-A FORWARD -j LOG', '-A FORWARD -o tun+ -j DROP'],
      'iptables-legacy chain FORWARD (rule 2)',
    ],
    [
      [
        '-P FORWARD DROP',
        '-A FORWARD -i fan-250-0-28 -o tun-250-0-28 -m comment --comment "ufan x" -j ACCEPT',
      ],
      'passes',
    ],
    [
      ['-P FORWARD ACCEPT', '-A FORWARD ! -i docker0 -j REJECT --reject-with icmp-port-unreachable'],
      'iptables-legacy chain FORWARD (rule 1)',
    ],
    [['-P FORWARD ACCEPT', '-A FORWARD ! -s 250.0.0.0/8 -j DROP'], 'passes'],
    [
      ['-P FORWARD ACCEPT', '-A FORWARD -d 250.0.0.0/8 -p tcp -j DROP'],
      'iptables-legacy chain FORWARD (rule 1)',
    ],
    [['-P FORWARD ACCEPT', '-A FORWARD -p udp -j DROP'], 'passes'],
    [
      ['-P FORWARD DROP', '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'],
      'iptables-legacy chain FORWARD (policy drop)',
    ],
    [
      ['-P FORWARD DROP', '-A FORWARD -m set --match-set friends src -j ACCEPT'],
      'perhaps iptables-legacy chain FORWARD (policy drop)',
    ],
    [
      ['-P FORWARD ACCEPT', '-N sub', '-A FORWARD -j sub', '-A sub -p tcp -j DROP'],
      'iptables-legacy chain sub (rule 1)',
    ],
    [
      ['-P FORWARD ACCEPT', '-N sub', '-A FORWARD -g sub', '-A FORWARD -j DROP', '-A sub -p udp -j DROP'],
      'passes',
    ],
  ])('%j: %s', (lines, expected) => {
    expect(dropped(...lines)).toBe(expected);
  });

  it.each([
    ['ipencap', 'dropped'],
    ['ipv4', 'dropped'],
    ['4', 'dropped'],
    ['ipip', 'passes'],
    ['94', 'passes'],
  ])('-p %s: protocol 4 is %s', (name, verdict) => {
    const bases = legacyBases(`-P INPUT ACCEPT\n-A INPUT -p ${name} -j DROP`);
    const drop = findDrop(bases, 'input', { ...PACKET, protocol: 4 });
    expect(drop?.isSure ? 'dropped' : 'passes').toBe(verdict);
  });

  it('has more tables than filter, and remedies say which', () => {
    const [before] = legacyBases('-P PREROUTING ACCEPT\n-A PREROUTING -i tun+ -j DROP', 'raw', -300);
    expect(before).toMatchObject({ hook: 'prerouting', priority: -300 });
    expect(findDrop([before!], 'prerouting', { ...PACKET, input: 'tun-250-0-28' })).toMatchObject({
      by: 'iptables-legacy -t raw chain PREROUTING (rule 1)',
      remedy: 'iptables-legacy -t raw -D PREROUTING 1',
      isSure: true,
      trail: [{ devices: ['tun*'], asksForIpip: false }],
    });
  });

  it('is not there', () => {
    expect(legacyBases('')).toEqual([]);
  });
});
