/** What NAT would make of a packet: rules as `nft -j -p list ruleset` and `iptables-legacy -t nat -S` print them. */
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../../../../src/addr/prefix.js';
import { legacyBases } from '../../../../src/host/firewall/legacy-verdict.js';
import { type NftRule, parseRuleset } from '../../../../src/host/firewall/nft.js';
import { nftBases, parseNftText } from '../../../../src/host/firewall/nft-verdict.js';
import type { PacketKind } from '../../../../src/host/firewall/packet-verdict.js';
import { findRewrite } from '../../../../src/host/firewall/translation.js';

/** TCP from a container to another host's, as it is routed. */
const PACKET: PacketKind = {
  input: 'fan-250-0-28',
  output: 'tun-250-0-28',
  source: parsePrefix('250.0.28.0/24'),
  destination: parsePrefix('250.0.27.2/32'),
  protocol: 6,
  state: 'new',
  isForwarded: true,
};

type Expr = NftRule['expr'][number];
const field = (protocol: string, name: string) => ({ payload: { protocol, field: name } });
const is = (left: object, right: unknown): Expr => ({ match: { op: '==', left, right } });
const xt = (type: string, name: string): Expr => ({ xt: { type, name } });
const toSource = { snat: { addr: field('ip', 'saddr') } };

function base(table: string, hook: string, prio: number, rules: Expr[][]): object[] {
  const named = { family: 'ip', table };
  return [
    { chain: { ...named, name: 'c', type: 'nat', hook, prio, policy: 'accept' } },
    ...rules.map((expr, i) => ({ rule: { ...named, chain: 'c', handle: i + 1, expr } })),
  ];
}

/** "surely 1.2.3.4 by t", "perhaps its device's by t"; "kept". */
function translated(hook: string, entries: readonly object[], text = '', legacy = ''): string {
  const ruleset = parseRuleset(JSON.stringify({ nftables: [{ metainfo: {} }, ...entries] }));
  const bases = [...nftBases(ruleset, parseNftText(text)), ...legacyBases(legacy, 'nat', -100)];
  const found = findRewrite(bases, hook, PACKET);
  if (!found) return 'kept';
  const by = found.by.split(' ')[2];
  return `${found.isSure ? 'surely' : 'perhaps'} ${found.to ?? "its device's"} by ${by}`;
}

describe('one chain', () => {
  it.each<[string, Expr[], string]>([
    ['a masquerade', [{ masquerade: null }], "surely its device's by t"],
    ['with flags', [{ masquerade: { flags: ['random'] } }], "surely its device's by t"],
    ['of another source', [is(field('ip', 'saddr'), '10.0.0.1'), { masquerade: null }], 'kept'],
    [
      'of one of the sources',
      [is(field('ip', 'saddr'), '250.0.28.9'), { masquerade: null }],
      "perhaps its device's by t",
    ],
    ['of a port', [is(field('tcp', 'sport'), 99), { masquerade: null }], "perhaps its device's by t"],
    ['to an address', [{ snat: { addr: '1.2.3.4' } }], 'surely 1.2.3.4 by t'],
    [
      'to a range',
      [{ snat: { addr: { range: ['1.1.1.1', '1.1.1.9'] } } }],
      'surely one of 1.1.1.1-1.1.1.9 by t',
    ],
    ['to a port only', [{ snat: { port: 99 } }], 'kept'],
    ['to itself', [toSource], 'kept'],
    [
      'by a map that knows none of it',
      [{ snat: { addr: { map: { key: field('ip', 'saddr'), data: { set: [['10.0.0.1', '10.0.0.2']] } } } } }],
      'kept',
    ],
    [
      'by a map that knows all of it',
      [
        {
          snat: { addr: { map: { key: field('ip', 'daddr'), data: { set: [['250.0.27.2', '10.0.0.2']] } } } },
        },
      ],
      'surely an address of a map by t',
    ],
    ['iptables-nft', [xt('target', 'MASQUERADE')], "surely its device's by t"],
  ])('%s', (_, expr, expected) => {
    expect(translated('postrouting', base('t', 'postrouting', 90, [expr]))).toBe(expected);
  });

  it('of iptables-nft says in its text to which address, and for whom', () => {
    const text = (words: string) =>
      `table ip t { # handle 1\n\tchain c { # handle 1\n\t\t${words} # handle 1\n\t}\n}`;
    const local = [xt('match', 'addrtype'), xt('target', 'DNAT')];
    const chain = base('t', 'prerouting', -100, [local]);
    expect(
      translated(
        'prerouting',
        chain,
        text('fib daddr type local counter packets 0 bytes 0 dnat to 1.2.3.4:80'),
      ),
    ).toBe('kept');
    expect(
      translated(
        'prerouting',
        chain,
        text('fib daddr type != local counter packets 0 bytes 0 dnat to 1.2.3.4:80'),
      ),
    ).toBe('surely 1.2.3.4 by t');
    expect(translated('prerouting', chain)).toBe("perhaps its device's by t");
  });

  it('asks what kind of address the destination is', () => {
    const local = is({ fib: { result: 'type', flags: ['daddr', 'iif'] } }, 'local');
    expect(translated('prerouting', base('t', 'prerouting', 0, [[local, { redirect: null }]]))).toBe('kept');
  });
});

describe('several chains', () => {
  const everybody: Expr[][] = [[{ masquerade: null }]];
  it('the first that translates is right, whatever comes later', () => {
    const ours = base('ours', 'postrouting', 99, [[toSource]]);
    expect(translated('postrouting', [...base('later', 'postrouting', 100, everybody), ...ours])).toBe(
      'kept',
    );
    expect(translated('postrouting', [...ours, ...base('early', 'postrouting', 98, everybody)])).toBe(
      "surely its device's by early",
    );
  });

  it('an accept ends its own chain only', () => {
    const accept = base('first', 'postrouting', 90, [[{ accept: null }], [{ masquerade: null }]]);
    expect(translated('postrouting', accept)).toBe('kept');
    expect(translated('postrouting', [...accept, ...base('second', 'postrouting', 100, everybody)])).toBe(
      "surely its device's by second",
    );
  });
});

describe('the old iptables', () => {
  const listing = (...rules: string[]) =>
    ['-P PREROUTING ACCEPT', '-P POSTROUTING ACCEPT', '-N OWN', ...rules].join('\n');
  it.each([
    [
      'postrouting',
      '-A POSTROUTING -s 250.0.28.0/24 ! -o fan-250-0-28 -j MASQUERADE --random',
      "surely its device's by nat",
    ],
    ['postrouting', '-A POSTROUTING -s 250.0.28.0/24 -o fan-250-0-28 -j MASQUERADE', 'kept'],
    ['postrouting', '-A POSTROUTING -p tcp -j SNAT --to-source 1.2.3.4:1-99', 'surely 1.2.3.4 by nat'],
    ['prerouting', '-A PREROUTING -d 250.0.0.0/8 -j DNAT --to-destination 1.2.3.4', 'surely 1.2.3.4 by nat'],
    ['prerouting', '-A PREROUTING -m addrtype --dst-type LOCAL -j DNAT --to-destination 1.2.3.4', 'kept'],
    [
      'prerouting',
      '-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128',
      "perhaps its device's by nat",
    ],
  ])('at %s: %s', (hook, rule, expected) => {
    expect(translated(hook, [], '', listing(rule))).toBe(expected);
  });

  it('comes after ours where it translates sources', () => {
    const ours = base('ours', 'postrouting', 99, [[toSource]]);
    expect(translated('postrouting', ours, '', listing('-A POSTROUTING -j MASQUERADE'))).toBe('kept');
  });
});
