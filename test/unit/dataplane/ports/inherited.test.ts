import { createSocket } from 'node:dgram';
import { fstatSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Inheritance } from '../../../../src/dataplane/ports/inherited.js';
import { Ports } from '../../../../src/dataplane/ports/ports.js';
import { native } from '../../../../src/io/native.js';
import { Poller } from '../../../../src/io/poller.js';
import { ALL } from '../../../../src/io/receive-filter.js';

const LOOPBACK = parseAddress('127.0.0.1');
const opened: number[] = [];

/** A UDP socket; at a port, beside others. */
function socket(port = 0): number {
  const fd = native.udpOpen(LOOPBACK, port, '', 1 << 16, 0, true);
  opened.push(fd);
  return fd;
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

afterEach(() => {
  for (const fd of opened.splice(0)) if (isOpen(fd)) native.close(fd);
});

describe('what is inherited and nobody takes', () => {
  it('is closed, and what somebody has taken is not', () => {
    const [raw, icmp, tun, queue, both, left, taken] = Array.from({ length: 7 }, () => socket());
    const inheritance = new Inheritance({
      raw: raw!,
      icmp: icmp!,
      tuns: {
        left: { fd: tun!, writeFd: queue!, offloads: 0 },
        single: { fd: both!, writeFd: both!, offloads: 0 },
      },
      receivers: { left: left!, taken: taken! },
    });
    expect(inheritance.takeReceiver('taken')).toBe(taken);
    inheritance.close();
    expect([tun, queue, both, left].map((fd) => isOpen(fd!))).toEqual([false, false, false, false]);
    expect([raw, icmp, taken].map((fd) => isOpen(fd!))).toEqual([true, true, true]);
    inheritance.close();
  });

  it('is closed when the ports begin: it has no share of what comes in any more', async () => {
    const left = socket();
    const port = native.udpPort(left);
    const poller = Poller.open();
    const ports = new Ports(poller, ALL, { raw: socket(), icmp: socket(), tuns: {}, receivers: { left } });
    expect(isOpen(left)).toBe(true);
    ports.begin();
    expect(isOpen(left)).toBe(false);
    const heir = createSocket('udp4');
    // Not shared: it would fail where the port is still somebody's.
    await new Promise<void>((resolve, reject) => {
      heir.once('error', reject);
      heir.bind(port, '127.0.0.1', resolve);
    });
    heir.close();
    ports.close();
    poller.close();
  });
});
