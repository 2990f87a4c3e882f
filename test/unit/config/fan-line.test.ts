/** The grammar of a fan's words: by table, and by property that the order of unambiguous words does not matter. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPrefix } from '../../../src/addr/prefix.js';
import { FanError } from '../../../src/base/error.js';
import { formatFlags } from '../../../src/config/fan-flags.js';
import { parseFanLine, parseFanWords } from '../../../src/config/fan-line.js';
import { DEFAULT_OPTIONS, type FanOptions } from '../../../src/config/fan-options.js';
import { formatUnderlay } from '../../../src/config/underlay.js';

/** A line in one text: "250.0.0.0/8 eth0/16 dhcp host-reserve 1". */
function canonical(words: readonly string[]): string {
  const { overlay, underlay, options } = parseFanWords(words);
  const ends = [overlay ? formatPrefix(overlay) : '-', underlay ? formatUnderlay(underlay) : '-'];
  return [...ends, formatFlags(options)].join(' ');
}

function errorOf(
  words: readonly string[],
  parse: (words: readonly string[]) => unknown = parseFanLine,
): FanError {
  try {
    parse(words);
  } catch (error) {
    if (error instanceof FanError) return error;
    throw error;
  }
  throw new Error(`"${words.join(' ')}" was taken`);
}

const PLAIN = '250.0.0.0/8 eth0/16 host-reserve 1';
const ADDRESSED = '250.0.0.0/8 172.30.0.28/16 host-reserve 1';

describe('parseFanWords', () => {
  it.each([
    ['250.0.0.0/8 eth0/16 dhcp', '250.0.0.0/8 eth0/16 dhcp host-reserve 1'],
    ['-o 250.0.0.0/8 -u eth0/16 --dhcp', '250.0.0.0/8 eth0/16 dhcp host-reserve 1'],
    ['--overlay=250 --underlay=eth0', PLAIN],
    ['-o=250 eth0', PLAIN],
    ['-u eth0 250', PLAIN],
    ['250 eth0', PLAIN],
    ['eth0 250', PLAIN],
    ['eth0/16 250.0.0.0/8', PLAIN],
    ['250.0.0.0/8 172.30.0.28', ADDRESSED],
    ['250.0.0.0/8 172.30.0.28/16', ADDRESSED],
    ['172.30.0.28/16 250.0.0.0/8', ADDRESSED],
    ['172.30.0.28 250', ADDRESSED],
    ['default 250', '250.0.0.0/8 default/16 host-reserve 1'],
    ['250 -u default/24', '250.0.0.0/8 default/24 host-reserve 1'],
    ['240.7.0.0/16 192.168.202.11/24', '240.7.0.0/16 192.168.202.11/24 host-reserve 1'],
    // Both could be either: the documented order, unless only the other one can be a fan.
    ['10.0.0.0/8 172.16.0.0/12', '10.0.0.0/8 172.16.0.0/12 host-reserve 1'],
    ['172.16.0.0/12 10.0.0.0/8', '10.0.0.0/8 172.16.0.0/12 host-reserve 1'],
    ['250 99', '250.0.0.0/8 99/16 host-reserve 1'],
    // A network as underlay, as Juju and Chef write it.
    ['250 172.30.0.0/16', '250.0.0.0/8 172.30.0.0/16 host-reserve 1'],
    ['172.30.0.0/16 250', '250.0.0.0/8 172.30.0.0/16 host-reserve 1'],
    ['172.31.0.0/16 252.0.0.0/8', '252.0.0.0/8 172.31.0.0/16 host-reserve 1'],
    ['-u 172.31.0.0/16 -o 252.0.0.0/8', '252.0.0.0/8 172.31.0.0/16 host-reserve 1'],
    [
      '-u 10.0.0.0/16 -o 250.0.0.0/8 --bridge=fan-10 --dhcp',
      '250.0.0.0/8 10.0.0.0/16 dhcp host-reserve 1 bridge fan-10',
    ],
    // Words that are flags elsewhere.
    ['250 -u dhcp', '250.0.0.0/8 dhcp/16 host-reserve 1'],
    ['250 dhcp/16 dhcp', '250.0.0.0/8 dhcp/16 dhcp host-reserve 1'],
    ['250 constructor', '250.0.0.0/8 constructor/16 host-reserve 1'],
    ['250 eth0 -u=a=b', null],
    ['250 -u=a=b', '250.0.0.0/8 a=b/16 host-reserve 1'],
    // Flags.
    ['250 eth0 host-reserve 5', '250.0.0.0/8 eth0/16 host-reserve 5'],
    ['--host-reserve=5 250 eth0', '250.0.0.0/8 eth0/16 host-reserve 5'],
    ['host-reserve=5 250 eth0', '250.0.0.0/8 eth0/16 host-reserve 5'],
    ['250 eth0 ttl inherit dscp inherit', PLAIN],
    [
      '250 eth0 io raw debug auto off notrack no-mss-clamp no-fragment dscp 0 ttl 64 bridge br0 dhcp-range 3-9 host-reserve 2 dhcp',
      '250.0.0.0/8 eth0/16 dhcp host-reserve 2 dhcp-range 3-9 bridge br0 ttl 64 dscp 0 no-fragment no-mss-clamp notrack off auto debug io raw',
    ],
    ['250 eth0 vxlan', '250.0.0.0/8 eth0/16 host-reserve 1 type vxlan'],
    ['250 eth0 --type=vxlan', '250.0.0.0/8 eth0/16 host-reserve 1 type vxlan'],
    ['250 eth0 ipip', PLAIN],
    ['type ipip 250 eth0', PLAIN],
    [
      'layer2 port 4789 250 vni 7 eth0 vxlan io raw',
      '250.0.0.0/8 eth0/16 host-reserve 1 io raw type vxlan vni 7 port 4789 layer2',
    ],
    ['250 -u vxlan', '250.0.0.0/8 vxlan/16 host-reserve 1'],
    // One end, as `show` filters.
    ['250', '250.0.0.0/8 - host-reserve 1'],
    ['eth0', '- eth0/16 host-reserve 1'],
    ['172.30.0.28/16', '- 172.30.0.28/16 host-reserve 1'],
    ['', '- - host-reserve 1'],
  ])('%s', (text, expected) => {
    const words = text === '' ? [] : text.split(' ');
    if (expected === null) expect(errorOf(words, parseFanWords).code).toBe('usage');
    else expect(canonical(words)).toBe(expected);
  });

  it('parses any order of the words of a fan to the same', () => {
    const overlay = fc.constantFrom(['250'], ['250.0.0.0/8'], ['-o', '250'], ['--overlay=250']);
    const underlay = fc
      .constantFrom('eth0', 'enp0s3/16', 'default', '172.30.0.28/16')
      .chain((end) => fc.constantFrom([end], ['-u', end], ['--underlay', end], [`--underlay=${end}`]));
    const flags = fc.subarray(FLAG_GROUPS).chain((names) => fc.tuple(...names.map((name) => spelling(name))));
    const line = fc.tuple(overlay, underlay, flags).chain(([o, u, f]) => {
      const groups = [o, u, ...f];
      return fc.tuple(fc.constant(groups), fc.shuffledSubarray(groups, { minLength: groups.length }));
    });
    fc.assert(
      fc.property(line, ([given, shuffled]) => {
        expect(canonical(shuffled.flat())).toBe(canonical(given.flat()));
      }),
    );
  });

  it('takes back what formatFlags wrote', () => {
    fc.assert(
      fc.property(anyOptions(), (options) => {
        expect(parseFanWords(formatFlags(options).split(' ')).options).toEqual(options);
      }),
    );
  });
});

describe('parseFanLine refuses', () => {
  it.each([
    ['', 'usage', 'an overlay such as 250.0.0.0/8 and an underlay'],
    ['250', 'usage', 'an underlay such as'],
    ['eth0', 'usage', 'an overlay such as'],
    ['250 eth0 dchp', 'usage', '"dchp"'],
    ['-o 250 eth0 eth1', 'usage', '"eth0", "eth1"'],
    ['-o 250 -u eth0 eth1', 'usage', 'no more words'],
    ['250 eth0 dhcp dhcp', 'usage', 'dhcp is given twice'],
    ['-o 250 -o 99 eth0', 'usage', 'overlay is given twice'],
    ['250 eth0 --frob', 'usage', 'unknown option --frob'],
    ['250 eth0 -d', 'usage', 'unknown option -d'],
    [
      '250 eth0 dhcp dhcp-range 127',
      'usage',
      'dhcp-range: "127" is no range: say two numbers within the slice',
    ],
    ['250 eth0 dhcp dhcp-range 9-2', 'usage', 'dhcp-range: "9-2" is no range'],
    ['250 eth0 dhcp dhcp-range 0-9', 'usage', 'dhcp-range: "0" is out of range: say a number from 1 to'],
    ['250 eth0 dhcp=yes', 'usage', 'dhcp takes no value'],
    ['250 eth0 host-reserve', 'usage', 'needs a value: host-reserve N'],
    ['250 -u', 'usage', 'needs a value'],
    ['250 eth0 host-reserve 0', 'usage', 'from 1 to'],
    ['250 eth0 host-reserve 01', 'usage', 'from 1 to'],
    ['250 eth0 host-reserve one', 'usage', 'from 1 to'],
    ['250 eth0 ttl 0', 'usage', 'from 1 to 255 or inherit'],
    ['250 eth0 ttl 256', 'usage', 'from 1 to 255'],
    ['250 eth0 dscp 64', 'usage', 'from 0 to 63'],
    ['250 eth0 io fast', 'usage', 'auto or raw'],
    ['250 eth0 bridge a/b', 'usage', 'no device name'],
    ['250 eth0 bridge fan*', 'usage', 'ends in'],
    ['250 eth0 dns leases here', 'usage', 'leases: "here" is no file: say its whole path'],
    ['250 eth0 min-path-mtu 67', 'usage', 'from 68 to 65535'],
    ['250 eth0 type gre', 'usage', 'type: "gre" is none: say ipip or vxlan'],
    ['250 eth0 type vxlan ipip', 'usage', 'type is given twice'],
    ['250 eth0 vxlan vxlan', 'usage', 'type is given twice'],
    ['250 eth0 vxlan vni 0', 'usage', 'from 1 to 16777215'],
    ['250 eth0 vxlan vni 16777216', 'usage', 'from 1 to 16777215'],
    ['250 eth0 vxlan port 65536', 'usage', 'from 1 to 65535'],
    ['250 eth0 vxlan layer2=yes', 'usage', 'layer2 takes no value'],
    ['250 eth0 layer2', 'usage', 'layer2 is of type vxlan, and this fan is of type ipip'],
    ['250 eth0 vxlan layer2 notrack', 'usage', 'layer2 and notrack: the bridge carries'],
    ['250 eth0 ipip vni 5', 'usage', 'vni is of type vxlan'],
    ['250 eth0 port 5', 'usage', 'port is of type vxlan'],
    ['250 eth0 vxlan io packet', 'usage', 'io packet is for type ipip'],
    ['250.0.0.1/8 eth0', 'bad-overlay', 'did you mean 250.0.0.0/8'],
    ['250.0.0.1/8 172.30.0.28/16', 'bad-overlay', 'did you mean 250.0.0.0/8'],
    ['250.0.0/8 eth0', 'bad-overlay', '250.0.0/8'],
    ['eth0 dchp', 'bad-overlay', '"dchp"'],
    ['250 eth0/33', 'bad-underlay', '0 to 32'],
    ['eth0/33 250', 'bad-underlay', '0 to 32'],
    ['250 172.30.0.280', 'bad-underlay', '172.30.0.280'],
  ])('%s', (text, code, part) => {
    const error = errorOf(text === '' ? [] : text.split(' '));
    expect(error.message).toContain(part);
    expect(error.code).toBe(code);
    expect(error.message).not.toContain('\n');
  });
});

const FLAG_GROUPS = [
  'dhcp',
  'host-reserve 3',
  'dhcp-range 9-20',
  'dns',
  'leases /srv/leases',
  'bridge br0',
  'ttl 9',
  'dscp 1',
  'no-fragment',
  'no-mss-clamp',
  'notrack',
  'auto',
  'debug',
  'io raw',
];

/** One of the ways to write a flag: `ttl 9`, `--ttl 9` or `--ttl=9`. */
function spelling(flag: string): fc.Arbitrary<string[]> {
  return fc.constantFrom(flag.split(' '), `--${flag}`.split(' '), [`--${flag.replace(' ', '=')}`]);
}

function anyOptions(): fc.Arbitrary<FanOptions> {
  const all = fc.record(
    {
      dhcp: fc.boolean(),
      hostReserve: fc.integer({ min: 1, max: 4096 }),
      dhcpRange: fc.constant<[number, number]>([5, 127]),
      bridge: fc.constantFrom('br0', 'fan-250-0-28', 'dhcp'),
      off: fc.boolean(),
      auto: fc.boolean(),
      debug: fc.boolean(),
      io: fc.constantFrom('auto' as const, 'raw' as const),
      ttl: fc.integer({ min: 1, max: 255 }),
      dscp: fc.integer({ min: 0, max: 63 }),
      fragment: fc.boolean(),
    },
    { requiredKeys: [] },
  );
  return all.map((some) => ({ ...DEFAULT_OPTIONS, ...some }));
}
