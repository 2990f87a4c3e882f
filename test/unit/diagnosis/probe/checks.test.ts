/** What measurements mean, case by case. */
import { describe, expect, it } from 'vitest';
import {
  duplicateCheck,
  isPortClosed,
  isProtocolClosed,
  mtuCheck,
  protocolCheck,
  wayBackCheck,
  wayCheck,
  widthCheck,
} from '../../../../src/diagnosis/probe/checks.js';
import { createIcmpError } from '../../../../src/wire/icmpv4.js';

describe('protocol 4', () => {
  it.each([
    [{ sent: 3, returned: 3 }, 'ok', undefined],
    [{ sent: 3, returned: 1 }, 'warn', undefined],
    [{ sent: 3, returned: 0, arrived: 0, unasked: true }, 'fail', 'out'],
    [{ sent: 3, returned: 0, arrived: 0, unasked: false }, 'fail', 'out'],
    [{ sent: 3, returned: 0, arrived: 2, unasked: false }, 'fail', 'in'],
    [{ sent: 3, returned: 0 }, 'fail', 'unknown'],
  ])('%j: %s, direction %s', (result, status, direction) => {
    expect(protocolCheck(result)).toMatchObject({ check: 'protocol-4-blocked', status });
    expect(protocolCheck(result).direction).toBe(direction);
  });

  it('says whether the other way works', () => {
    const out = { sent: 3, returned: 0, arrived: 0 };
    expect(protocolCheck({ ...out, unasked: true }).evidence).toMatch(/; one that it sent did$/);
    expect(protocolCheck({ ...out, unasked: false }).evidence).toMatch(/, nor did one that it sent$/);
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
    const check = mtuCheck({ ...result, direction: 'out' }, 'eth0');
    expect(check).toMatchObject({ check: 'mtu-black-hole', status });
    expect(check.evidence).toContain(evidence);
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
});

describe('ICMP notices', () => {
  const notice = { ...createIcmpError(), reporter: 'x', type: 3, destination: 7 };
  it('a closed port is of UDP to the host, a closed protocol of IPIP', () => {
    const port = { ...notice, code: 3, protocol: 17 };
    const protocol = { ...notice, code: 2, protocol: 4 };
    expect([isPortClosed([port], 7), isPortClosed([port], 8), isPortClosed([protocol], 7)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([
      isProtocolClosed([protocol], 7),
      isProtocolClosed([protocol], 8),
      isProtocolClosed([port], 7),
    ]).toEqual([true, false, false]);
  });
});
