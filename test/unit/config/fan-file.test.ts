/** /etc/network/fan: what is read, where what is wrong stands, and that an edit changes its own line and nothing else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEnds, parseFanFile, setFan, unsetFan } from '../../../src/config/fan-file.js';
import { formatFlags } from '../../../src/config/fan-flags.js';
import { parseFanLine } from '../../../src/config/fan-line.js';

const fanOf = (text: string) => parseFanLine(text.split(' '));
const read = (text: string) =>
  parseFanFile(text).entries.map(
    ({ line, fan }) => `${line}: ${formatEnds(fan)} ${formatFlags(fan.options)}`,
  );

/** As cloud-init's module for it documents, with what else hosts have. */
const FILE = `# fan configuration
10.0.0.0/8 eth0/16 dhcp
10.0.0.0/8 eth1/16 dhcp off
# 240.0.0.0/4 lo0/16 ...

\teth2/16   250   bridge=fan-250 host-reserve=2 --ttl 64   # the underlay first
-u 172.31.0.0/16 -o 252.0.0.0/8 auto\r
251.0.0.0/8 default/16 dhcp#no-comment
251 default dhcp #comment`;

describe('parseFanFile', () => {
  it('reads either order, comments, flags in every form; a bad line stops no other', () => {
    expect(read(FILE)).toEqual([
      '2: 10.0.0.0/8 eth0/16 dhcp host-reserve 1',
      '3: 10.0.0.0/8 eth1/16 dhcp host-reserve 1 off',
      '6: 250.0.0.0/8 eth2/16 host-reserve 2 bridge fan-250 ttl 64',
      '7: 252.0.0.0/8 172.31.0.0/16 host-reserve 1 auto',
      '9: 251.0.0.0/8 default/16 dhcp host-reserve 1',
    ]);
    expect(parseFanFile(FILE).faults).toMatchObject([{ line: 8, column: 24 }]);
    expect(parseFanFile('').entries).toEqual([]);
    expect(read('\uFEFF250 eth0')).toEqual(['1: 250.0.0.0/8 eth0/16 host-reserve 1']);
  });

  it.each([
    ['250.0.0.0/8 eth0/16 dchp', 21, 'want one overlay and one underlay beside the flags'],
    ['250.0.0.1/8 eth0/16', 1, 'did you mean 250.0.0.0/8?'],
    ['   250.0.0.0/8 eth0/33', 16, 'the width after / is 0 to 32'],
    ['250 172.30.0.280', 5, '172.30.0.280'],
    ['250', 1, 'an underlay such as eth0/16'],
    ['eth0', 1, 'an overlay such as 250.0.0.0/8'],
    ['250 eth0 ttl 0', 14, 'ttl: "0" is out of range'],
    ['250 eth0 ttl=0', 10, 'ttl: "0" is out of range'],
    ['250 eth0 host-reserve', 10, '"host-reserve" needs a value'],
    ['250 eth0 dhcp=yes', 10, 'dhcp takes no value'],
    ['250 eth0 dhcp dhcp', 15, 'dhcp is given twice'],
    ['250 eth0 --frob', 10, 'unknown option --frob'],
    ['250 eth0 io fast', 13, 'io: "fast" is no mode'],
    ['250 eth0 bridge a/b', 17, 'is no device name'],
    ['250 é/99', 5, '"é/99" is no underlay'],
    ['iface eth0 inet static', 12, 'want one overlay and one underlay'],
  ])('says where it is wrong: %s', (line, column, part) => {
    const { entries, faults } = parseFanFile(`# first\n${line}\n251 eth0\n`);
    expect(entries.map((entry) => entry.line)).toEqual([3]);
    expect(faults).toEqual([{ line: 2, column, message: expect.stringContaining(part) }]);
  });
});

describe('setFan', () => {
  it.each([
    ['', '250 eth0 dhcp', '250.0.0.0/8 eth0/16 dhcp\n'],
    ['# none', '250 eth0', '# none\n250.0.0.0/8 eth0/16\n'],
    ['250 eth0 # mine\n', '250 eth0/16 dhcp host-reserve 3', '250 eth0 dhcp host-reserve 3 # mine\n'],
    ['\teth0/16   250   dhcp\t# mine\r\n', '250 eth0 bridge br0', '\teth0/16   250 bridge br0\t# mine\r\n'],
    ['-o 250 -u eth0 dhcp', '250 eth0 off', '-o 250 -u eth0 off'],
    ['dhcp 250 eth0 #x\n', '250 eth0 auto', '250.0.0.0/8 eth0/16 auto #x\n'],
    ['250 eth0 dhcp\n251 eth0\n', '251 eth0 dhcp', '250 eth0 dhcp\n251 eth0 dhcp\n'],
    ['250 eth0 off\n', '250 eth0', '250 eth0\n'],
    ['250 eth0 --dhcp\n', '250 eth0 dhcp', '250 eth0 --dhcp\n'],
    ['#250 eth0\n', '250 eth0', '#250 eth0\n250.0.0.0/8 eth0/16\n'],
  ])('%j with %s', (text, fan, expected) => {
    expect(setFan(text, fanOf(fan))).toBe(expected);
  });

  it('refuses where two lines are the same fan', () => {
    expect(() => setFan('250 eth0\n\neth0/16 250 off\n', fanOf('250 eth0 dhcp'))).toThrow(
      'lines 1 and 3 are both 250.0.0.0/8 eth0/16: remove one of them first',
    );
  });

  it('and unsetFan leave every other line byte for byte', () => {
    const other = fc.constantFrom(
      '# note',
      '',
      '251 eth0 dhcp',
      '\t eth9/16  252  # x',
      'nonsense',
      '253 eth0\r',
    );
    const lines = fc.array(other, { maxLength: 6 });
    const flags = fc.constantFrom('', ' dhcp', ' dhcp host-reserve 2', ' off');
    fc.assert(
      fc.property(lines, lines, flags, flags, fc.boolean(), (before, after, old, wanted, ends) => {
        const line = `250 eth0/16${old}  # mine`;
        const text = [...before, line, ...after].join('\n') + (ends ? '\n' : '');
        const changed = setFan(text, fanOf(`250 eth0${wanted}`)).split('\n');
        const kept = text.split('\n');
        expect(changed[before.length]).toBe(`250 eth0/16${wanted}  # mine`);
        expect([...changed.slice(0, before.length), ...changed.slice(before.length + 1)]).toEqual([
          ...kept.slice(0, before.length),
          ...kept.slice(before.length + 1),
        ]);
        const head = before.map((each) => `${each}\n`).join('');
        const tail = text.slice(head.length + line.length).replace('\n', '');
        expect(unsetFan(text, fanOf('250 eth0'))).toBe(head + tail);
      }),
    );
  });

  it('appends what unsetFan takes away again', () => {
    const text = '# note\n251 eth0\n';
    expect(unsetFan(setFan(text, fanOf('250 eth0 dhcp')), fanOf('250 eth0'))).toBe(text);
  });
});

describe('unsetFan', () => {
  it('takes every line of the fan', () => {
    expect(unsetFan('250 eth0 # a\n# b\neth0 250 off\n', fanOf('250 eth0'))).toBe('# b\n');
    expect(unsetFan('# b\n250 eth0', fanOf('250 eth0'))).toBe('# b\n');
  });

  it('refuses where there is none', () => {
    expect(() => unsetFan('# 250 eth0\n251 eth0', fanOf('250 eth0'))).toThrow(
      'no line is 250.0.0.0/8 eth0/16',
    );
  });
});
