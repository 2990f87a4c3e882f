/** What `explain` says by arithmetic alone: over the table of mappings, and for every verdict. */
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { explainAddress } from '../../../src/fan/explanation.js';
import { createMapping } from '../../../src/fan/mapping.js';

function fan(overlay: string, underlay: string) {
  const [address, width] = underlay.split('/');
  return createMapping(parsePrefix(overlay), parseAddress(address!), Number(width));
}

const FAN = fan('250.0.0.0/8', '172.30.0.28/16');

function explain(address: string, from?: string, fans = [FAN]) {
  return explainAddress(fans, parseAddress(address), from === undefined ? undefined : parseAddress(from));
}

describe('explainAddress', () => {
  it.each([
    [
      '250.0.0.0/8',
      '172.30.0.1/16',
      '172.30.0.28',
      '250.0.28.0/24',
      '250.0.28.77',
      'fan-250-0-28',
      [8, 16, 8],
    ],
    [
      '250.0.0.0/8',
      '172.30.0.1/16',
      '172.30.0.27',
      '250.0.27.0/24',
      '250.0.27.3',
      'fan-250-0-27',
      [8, 16, 8],
    ],
    [
      '99.0.0.0/8',
      '10.99.224.1/20',
      '10.99.238.5',
      '99.224.80.0/20',
      '99.224.81.3',
      'fan-99-224-80',
      [8, 12, 12],
    ],
    [
      '33.0.0.0/8',
      '10.111.1.9/12',
      '10.111.1.2',
      '33.240.16.32/28',
      '33.240.16.46',
      'fan-21f01020',
      [8, 20, 4],
    ],
    [
      '240.0.0.0/5',
      '10.88.240.9/20',
      '10.88.244.215',
      '242.107.128.0/17',
      '242.107.200.1',
      'fan-242-107-128',
      [5, 12, 15],
    ],
    [
      '100.64.0.0/10',
      '10.224.220.10/24',
      '10.224.220.11',
      '100.66.192.0/18',
      '100.66.200.5',
      'fan-100-66-192',
      [10, 8, 14],
    ],
    [
      '240.0.0.0/8',
      '192.168.202.9/24',
      '192.168.202.11',
      '240.11.0.0/16',
      '240.11.4.4',
      'fan-240-11',
      [8, 8, 16],
    ],
    [
      '240.7.0.0/16',
      '192.168.202.9/24',
      '192.168.202.11',
      '240.7.11.0/24',
      '240.7.11.4',
      'fan-240-7-11',
      [16, 8, 8],
    ],
  ] as const)(
    '%s on %s: %s owns %s, from either side',
    (overlay, us, host, slice, address, bridge, widths) => {
      const fans = [fan(overlay, us)];
      const [overlayPrefix, hostBits, sliceBits] = widths;
      const common = {
        host,
        slices: [{ overlay, host, slice, bridge }],
        bits: { overlayPrefix, host: hostBits, slice: sliceBits, shift: sliceBits },
        verdict: 'deliverable',
      };
      expect(explain(address, undefined, fans)).toMatchObject({ ...common, kind: 'overlay' });
      expect(explain(host, undefined, fans)).toMatchObject({ ...common, kind: 'underlay' });
    },
  );

  it.each([
    ['250.0.27.2', 'deliverable', 'IP-in-IP to 172.30.0.27'],
    ['250.0.27.1', 'deliverable', 'IP-in-IP to 172.30.0.27'],
    ['250.0.28.2', 'to-ourselves', 'our own slice 250.0.28.0/24'],
    ['250.0.0.3', 'underlay-network', '172.30.0.0 is the network address'],
    ['250.255.255.3', 'underlay-broadcast', '172.30.255.255 is the broadcast address'],
    ['250.0.27.0', 'destination-outside-slice', '172.30.0.27 would drop it'],
    ['250.0.27.255', 'destination-outside-slice', '172.30.0.27 would drop it'],
    ['8.8.8.8', 'outside-overlay', 'none of 250.0.0.0/8, 172.30.0.0/16'],
    ['172.30.0.28', 'to-ourselves', 'this host itself'],
    ['172.30.0.0', 'underlay-network', 'no host has it'],
    ['172.30.255.255', 'underlay-broadcast', 'no host has it'],
  ])('%s: %s', (address, verdict, why) => {
    const explanation = explain(address);
    expect(explanation).toMatchObject({ verdict, source: null });
    expect(explanation.why).toContain(why);
  });

  it.each([
    ['250.0.27.2', '250.0.28.2', 'deliverable', 'deliverable'],
    ['250.0.27.2', '250.0.28.0', 'source-not-ours', 'source-not-ours'],
    ['250.0.27.2', '10.0.0.1', 'source-not-ours', 'source-not-ours'],
    ['250.0.27.2', '250.0.29.2', 'source-not-ours', 'source-not-ours'],
    ['250.0.28.2', '250.0.27.2', 'deliverable', 'deliverable'],
    ['250.0.28.2', '250.0.27.255', 'source-martian', 'source-martian'],
    ['250.0.28.2', '250.0.0.9', 'outer-source', 'outer-source'],
    ['250.0.28.0', '250.0.27.2', 'destination-outside-slice', 'destination-outside-slice'],
    ['250.255.255.2', '250.0.28.2', 'deliverable', 'underlay-broadcast'],
  ])('%s from %s: the source is %s, the packet %s', (address, from, source, verdict) => {
    expect(explain(address, from)).toMatchObject({ verdict, source: { address: from, verdict: source } });
  });

  it('of several fans takes the longest overlay, and shows an underlay address in each', () => {
    const narrow = fan('250.7.0.0/17', '172.30.1.28/20');
    const other = fan('99.0.0.0/8', '172.30.0.28/16');
    const fans = [FAN, other];
    expect(explain('99.0.27.2', undefined, fans).fan).toMatchObject({
      overlay: '99.0.0.0/8',
      slice: '99.0.28.0/24',
    });
    expect(explain('172.30.0.27', undefined, fans).slices.map(({ slice }) => slice)).toEqual([
      '250.0.27.0/24',
      '99.0.27.0/24',
    ]);
    expect(explain('250.7.9.2', undefined, [FAN, narrow]).fan?.overlay).toBe('250.7.0.0/17');
    // Both slices are at one underlay address: a packet of either may leave by the other's TUN.
    expect(explain('250.0.27.2', '99.0.28.2', fans)).toMatchObject({ verdict: 'deliverable' });
  });
});
