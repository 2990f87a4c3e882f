/** The TUN by io_uring: where fand may have one, it has; where not, it says so, and packets pass all the same. */
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { compilePeer } from '../../../bench/peers/compile.js';
import type { FanView } from '../../../src/control/protocol.js';
import { echoUdp, FAN, fandPid } from '../fan-lab.js';

const WITHOUT =
  'a system call for each packet: io_uring is not to be had here (io_uring_setup: Operation not permitted)';
const FILE_BYTES = 20_000_000;

/** Of the host's fand: rings that it has open. */
function rings(host: Host): number {
  const dir = `/proc/${fandPid(host)}/fd`;
  return readdirSync(dir).filter((fd) => target(join(dir, fd)) === 'anon_inode:[io_uring]').length;
}

/** Undefined for a descriptor that was closed since. */
function target(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

describe.each([
  { case: 'may have a ring', wrapper: [], words: ['--workers', '2'], rings: 2, note: '' },
  { case: 'is told to do without', wrapper: ['env', 'UFAN_IO_URING=off'], words: [], rings: 0, note: '' },
  { case: 'may have none', wrapper: ['without-io-uring'], words: [], rings: 0, note: WITHOUT },
])('a fand that $case', ({ wrapper, words, rings: expected, note }) => {
  const views: FanView[] = [];
  let lab: Lab;

  beforeAll(async () => {
    lab = await createLab({ containers: 1 });
    const compiled = await compilePeer('without-io-uring');
    const before = wrapper.map((word) => (word === 'without-io-uring' ? compiled : word));
    for (const host of lab.hosts) {
      views.push((await raiseFan(host, [...FAN, '--io', 'raw', ...words], before)).view);
    }
  });
  afterAll(() => lab?.remove());

  it('has as many as workers, or says why it has none', () => {
    expect(lab.hosts.map(rings)).toEqual([expected, expected]);
    for (const { ioNotes } of views) expect(ioNotes).toEqual(note === '' ? [] : [note]);
  });

  it('passes a file and datagrams unharmed', async () => {
    const [one, two] = [lab.host(1).container(1), lab.host(2).container(1)];
    const address = containerAddress(views[1]!, 1);
    const file = await randomFile(one, lab.dir, FILE_BYTES);
    const sent = await sendFile(one, two, address, file.path, join(lab.dir, 'received'));
    expect(sent.sha256).toBe(file.sha256);
    await echoUdp(one, two, address, [1, 100, 1400, 8000]);
  });
});

describe('a TAP, of VXLAN', () => {
  it('is read and written by a ring too', async () => {
    const lab = await createLab({ containers: 1 });
    try {
      const views = await Promise.all(
        lab.hosts.map(async (host) => (await raiseFan(host, [...FAN, 'vxlan', '--io', 'raw'])).view),
      );
      expect(rings(lab.host(1))).toBe(1);
      const [one, two] = [lab.host(1).container(1), lab.host(2).container(1)];
      const file = await randomFile(one, lab.dir, FILE_BYTES);
      const address = containerAddress(views[1]!, 1);
      const sent = await sendFile(one, two, address, file.path, join(lab.dir, 'received'));
      expect(sent.sha256).toBe(file.sha256);
    } finally {
      lab.remove();
    }
  });
});
