/** What filters of tcpdump's let go of: flows that clearly are others stay on the kernel's path. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { FlowFilter } from '../../../src/wire/flow-filter.js';
import { packet, tunnelled } from '../dataplane/packets.js';

function compile(filter: string): number[] {
  const text = execFileSync('tcpdump', ['-ddd', '-y', 'RAW', filter], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text.trim().split(/\s+/).slice(1).map(Number);
}

/** TCP or UDP from 250.0.28.2, port 40000, to 250.0.27.2, port 5201, in its outer header; only the flow is known. */
function flow(protocol: number) {
  const inner = packet('250.0.28.2', '250.0.27.2', { protocol });
  inner.set([0x9c, 0x40, 0x14, 0x51], 20);
  const bytes = tunnelled('172.30.0.28', '172.30.0.27', inner).subarray(0, 44);
  const known = new Uint8Array(44);
  for (const start of [0, 20]) {
    known[start] = known[start + 9] = 0xff;
    known[start + 6] = 0x3f;
    known[start + 7] = 0xff;
    known.fill(0xff, start + 12, start + 20);
  }
  known.fill(0xff, 40);
  return { bytes, known };
}

function mayMatch(filter: string, protocol: number): boolean {
  const reach = new FlowFilter(compile(filter));
  return reach.mayMatch(flow(protocol), 20) || reach.mayMatch(flow(protocol), 0);
}

describe('a TCP flow', () => {
  it.each([
    'udp port 7',
    'icmp',
    'udp',
    'port 5202',
    'tcp port 80 and host 250.0.27.2',
    'tcp port 5201 and host 250.0.27.3',
    'host 250.0.29.2 or host 172.30.0.29',
    'net 10',
    'portrange 40001-40100',
    'not tcp and not ip proto 4',
    'icmp[icmptype] = icmp-echo or udp[8] = 3',
    'src port 5201',
    'ip[6:2] & 0x1fff != 0',
    'udp[10:2] < 5 or ip[9] = 50 or (ip[9] ^ 6) = 1',
    'ip6 or arp or ip broadcast',
    'tcp[2:2] = 80',
  ])('stays, however its packets look, for %s', (filter) => {
    expect(mayMatch(filter, 6)).toBe(false);
  });

  it.each([
    'tcp',
    'port 5201',
    'host 250.0.27.2',
    'host 172.30.0.27',
    'ip proto 4',
    'net 250.0.0.0/16',
    'portrange 39999-40000',
    'not udp',
    'not tcp',
    'ip[8] < 5',
    'greater 1000',
    'less 100',
    'ip[(ip[0] & 15) * 4 + 2 : 2] = 80',
    'tcp[tcpflags] & tcp-syn != 0',
    'ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] & 0xf0) >> 2) != 0',
    'ip[1] & 3 = 3',
    'tcp[20:4] = 0x47455420',
  ])('may be seen by %s', (filter) => {
    expect(mayMatch(filter, 6)).toBe(true);
  });
});

describe('a UDP flow', () => {
  it.each([
    ['tcp[tcpflags] & tcp-syn != 0', false],
    ['tcp port 5201', false],
    ['udp port 7', false],
    ['udp port 5201', true],
    ['udp[8] = 3', true],
  ])('and %s: %s', (filter, may) => {
    expect(mayMatch(filter, 17)).toBe(may);
  });
});

it('takes as long as the program has instructions, not as it has ways', () => {
  // Each instruction pair doubles the ways: is bit 1 of an unknown byte set?
  const program = Array.from({ length: 1500 }, () => [0x30, 0, 0, 1, 0x45, 0, 0, 1]).flat();
  const started = performance.now();
  expect(new FlowFilter([...program, 0x06, 0, 0, 0]).mayMatch(flow(6), 0)).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
});
