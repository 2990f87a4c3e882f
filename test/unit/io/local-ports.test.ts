import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { LocalPorts } from '../../../src/io/local-ports.js';

const dir = mkdtempSync(join(tmpdir(), 'ufan-ports-'));
afterAll(() => rmSync(dir, { recursive: true }));

function edges(ports: LocalPorts, first: number, last: number, nowMs: number): boolean[] {
  return [first - 1, first, last, last + 1].map((port) => ports.includes(port, nowMs));
}

describe('the ports that the kernel takes by itself', () => {
  it('are those of the setting, which is read again a second later', () => {
    const setting = join(dir, 'range');
    writeFileSync(setting, '32768\t60999\n');
    const ports = new LocalPorts(setting);
    expect(edges(ports, 32_768, 60_999, 0)).toEqual([false, true, true, false]);
    writeFileSync(setting, '20000\t20100\n');
    expect(edges(ports, 32_768, 60_999, 999)).toEqual([false, true, true, false]);
    expect(edges(ports, 20_000, 20_100, 1000)).toEqual([false, true, true, false]);
  });

  it("are the kernel's own default where nothing says so", () => {
    expect(edges(new LocalPorts(join(dir, 'none')), 32_768, 60_999, 0)).toEqual([false, true, true, false]);
  });

  it("are this host's", () => {
    const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1')
      .split(/\s+/)
      .map(Number);
    expect(edges(new LocalPorts(), first!, last!, 0)).toEqual([false, true, true, false]);
  });
});
