/** What measurements mean, case by case. */
import { describe, expect, it } from 'vitest';
import { carrierOf, otherCarrier } from '../../../../src/diagnosis/probe/carrier.js';
import {
  duplicateCheck,
  isCarrierClosed,
  isPortClosed,
  mtuCheck,
  protocolCheck,
  wayBackCheck,
  wayCheck,
  widthCheck,
} from '../../../../src/diagnosis/probe/checks.js';
import { createIcmpError } from '../../../../src/wire/icmpv4.js';

const IPIP = carrierOf(undefined);
const VXLAN = carrierOf({ vni: 7, port: 8472, layer2: false });

describe('protocol 4, and the UDP port of VXLAN', () => {
  it.each([
    [{ sent: 3, returned: 3 }, 'ok', undefined],
    [{ sent: 3, returned: 1 }, 'warn', undefined],
    [{ sent: 3, returned: 0, arrived: 0, unasked: true }, 'fail', 'out'],
    [{ sent: 3, returned: 0, arrived: 0, unasked: false }, 'fail', 'out'],
    [{ sent: 3, returned: 0, arrived: 2, unasked: false }, 'fail', 'in'],
    [{ sent: 3, returned: 0 }, 'fail', 'unknown'],
  ])('%j: %s, direction %s', (result, status, direction) => {
    expect(protocolCheck(result, IPIP)).toMatchObject({ check: 'protocol-4-blocked', status });
    expect(protocolCheck(result, IPIP).direction).toBe(direction);
    expect(protocolCheck(result, VXLAN)).toMatchObject({ check: 'udp-blocked', status });
    expect(protocolCheck(result, VXLAN).evidence).not.toContain('IP-in-IP');
  });

  it('says whether the other way works', () => {
    const out = { sent: 3, returned: 0, arrived: 0 };
    expect(protocolCheck({ ...out, unasked: true }, IPIP).evidence).toMatch(/; one that it sent did$/);
    expect(protocolCheck({ ...out, unasked: false }, IPIP).evidence).toMatch(/, nor did one that it sent$/);
  });

  it('names the type that would pass', () => {
    const blocked = { sent: 3, returned: 0, arrived: 0 };
    expect(protocolCheck(blocked, IPIP, 'type vxlan on all hosts').fix).toMatch(
      /^let IP protocol 4 .*; or type vxlan on all hosts$/,
    );
    expect(protocolCheck(blocked, VXLAN).fix).toBe(
      'let UDP port 8472 pass, in host firewalls and security groups',
    );
    expect([otherCarrier(IPIP), otherCarrier(VXLAN)].map(({ type, port }) => [type, port])).toEqual([
      ['vxlan', 8472],
      ['ipip', 0],
    ]);
  });
});

describe('the way into the fan', () => {
  const stop = { verdict: 'route-overridden', why: '250.0.27.2 leads to eth0' } as const;

  it('is one line where it is well, and the name of what is wrong where it is not', () => {
    expect(wayCheck(undefined, '250.0.27.2 leads to tun0')).toMatchObject({
      check: 'route-overridden',
      status: 'ok',
      evidence: '250.0.27.2 leads to tun0',
    });
    expect(wayCheck(stop, '')).toMatchObject({
      check: 'route-overridden',
      status: 'fail',
      evidence: stop.why,
    });
    expect(wayCheck({ ...stop, verdict: 'tun-changed' }, '').fix).toBe('fanctl doctor --fix');
  });

  it('of the peer is its own', () => {
    expect(wayBackCheck('172.30.0.27', stop)).toMatchObject({
      check: 'route-overridden',
      status: 'fail',
      direction: 'in',
      evidence: 'on 172.30.0.27: 250.0.27.2 leads to eth0',
      fix: expect.stringMatching(/^on 172\.30\.0\.27: remove/),
    });
  });
});

describe('path MTU', () => {
  it.each([
    [{ full: 1480, passes: 1480 }, 'ok', 'packets of 1500 bytes pass'],
    [{ full: 1480, passes: 1380, told: 1400 }, 'ok', 'packets of 1400 bytes pass, as a router'],
    [{ full: 1480, passes: 1300, told: 1400 }, 'fail', 'packets of 1320 bytes pass, larger ones vanish'],
    [{ full: 1480, passes: 1380 }, 'fail', 'the fan sends up to 1500'],
  ])('%j: %s', (result, status, evidence) => {
    const check = mtuCheck({ ...result, direction: 'out' }, 'eth0', IPIP);
    expect(check).toMatchObject({ check: 'mtu-black-hole', status });
    expect(check.evidence).toContain(evidence);
  });

  it('of VXLAN has other headers, and other remedies', () => {
    const check = mtuCheck({ full: 1450, passes: 1350, direction: 'in' }, 'eth0', VXLAN);
    expect(check.evidence).toContain('VXLAN packets of 1400 bytes pass');
    expect(check.fix).toMatch(/^let IP fragments pass, or on all hosts: ip link set dev eth0 mtu 1400/);
  });
});

describe('addresses claimed twice', () => {
  it.each([
    [[], ['aa'], [], 'ok', 'one host'],
    [[], [], [], 'ok', 'one host'],
    [[], ['aa', 'bb'], ['aa', 'bb'], 'ok', 'one host'],
    [[], ['aa', 'bb'], ['aa'], 'fail', 'several hosts claim underlay address 172.30.0.27: aa, bb'],
    [[], ['aa', 'bb'], [], 'fail', 'several hosts claim underlay address 172.30.0.27: aa, bb'],
    [['cc'], ['aa'], ['aa'], 'fail', 'another host claims our underlay address 172.30.0.28: cc'],
  ])('ours by %j, the peer’s by %j, of which it has %j: %s', (ours, theirs, known, status, evidence) => {
    const check = duplicateCheck([
      { address: '172.30.0.28', isOurs: true, macs: ours, known: [] },
      { address: '172.30.0.27', isOurs: false, macs: theirs, known },
    ]);
    expect(check).toMatchObject({ check: 'duplicate-slice', status });
    expect(check.evidence).toContain(evidence);
  });
});

describe('widths', () => {
  const ours = { overlay: '250.0.0.0/8', underlay: '172.30.0.28/16' };
  const facts = { slice: '250.0.27.0/24', mtu: 1480, io: 'raw', path: null };
  it.each([
    ['250.0.0.0/8', '172.30.0.27/16', 'ok'],
    ['250.0.0.0/8', '172.30.0.27/20', 'fail'],
    ['250.0.0.0/9', '172.30.0.27/16', 'fail'],
    ['240.0.0.0/4', '172.30.0.27/16', 'fail'],
  ])('%s on %s: %s', (overlay, underlay, status) => {
    expect(widthCheck(ours, { ...facts, overlay, underlay })).toMatchObject({
      check: 'width-mismatch',
      status,
    });
  });

  const vxlan = 'type vxlan, vni 16384000, port 8472';
  it.each([
    ['type ipip', 'type ipip', 'width-mismatch', 'ok'],
    [vxlan, 'type ipip', 'type-mismatch', 'fail'],
    [vxlan, 'type vxlan, vni 7, port 8472', 'type-mismatch', 'fail'],
    // A fand that says nothing of it.
    ['type ipip', undefined, 'width-mismatch', 'ok'],
  ])('%s here and %s there: %s', (type, theirs, check, status) => {
    const there = { ...facts, ...ours, underlay: '172.30.0.27/16', ...(theirs && { type: theirs }) };
    expect(widthCheck({ ...ours, type }, there)).toMatchObject({ check, status });
  });
});

describe('ICMP notices', () => {
  const notice = { ...createIcmpError(), reporter: 'x', type: 3, destination: 7, port: 0 };
  it('a closed port is of UDP to the host, a closed protocol of IPIP, a closed fan of VXLAN its port', () => {
    const port = { ...notice, code: 3, protocol: 17, port: 8326 };
    const vxlan = { ...port, port: 8472 };
    const protocol = { ...notice, code: 2, protocol: 4 };
    expect([isPortClosed([port], 7), isPortClosed([port], 8), isPortClosed([protocol], 7)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([
      isCarrierClosed([protocol], 7, IPIP),
      isCarrierClosed([protocol], 8, IPIP),
      isCarrierClosed([port], 7, IPIP),
    ]).toEqual([true, false, false]);
    expect([
      isCarrierClosed([vxlan], 7, VXLAN),
      isCarrierClosed([port], 7, VXLAN),
      isPortClosed([vxlan], 7),
    ]).toEqual([true, false, false]);
  });
});
