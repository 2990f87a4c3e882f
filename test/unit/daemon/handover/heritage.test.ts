import { describe, expect, it } from 'vitest';
import { type Heritage, PROTOCOL, withDescriptors } from '../../../../src/daemon/handover/heritage.js';
import { inheritedIo } from '../../../../src/daemon/handover/inherited-io.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';

const HERITAGE: Heritage = {
  protocol: PROTOCOL,
  version: '1.2.3',
  workers: 1,
  lock: 10,
  estate: {
    workers: [
      {
        raw: 11,
        icmp: 12,
        tuns: { one: { fd: 13, writeFd: 14, offloads: 99 }, two: { fd: 15, writeFd: 15, offloads: 0 } },
        receivers: { '1 eth0': 16 },
      },
    ],
    fans: { one: { mode: 'bpf', notes: [], kernelCounters: { encap: 17, decap: -1 }, cookie: [1, 2, 3] } },
    relays: { eth0: 5 },
    probe: null,
  },
};

describe('withDescriptors', () => {
  it('takes each descriptor once, and nothing else', () => {
    const taken: number[] = [];
    const next = withDescriptors(HERITAGE, (fd) => 100 + taken.push(fd));
    expect(taken).toEqual([10, 11, 12, 13, 14, 15, 16, 17]);
    expect(next.lock).toBe(101);
    const { workers, fans, relays } = next.estate!;
    expect(workers[0]!.tuns.one).toEqual({ fd: 104, writeFd: 105, offloads: 99 });
    expect(workers[0]!.tuns.two).toEqual({ fd: 106, writeFd: 106, offloads: 0 });
    expect(workers[0]!.receivers).toEqual({ '1 eth0': 107 });
    expect(fans.one!.kernelCounters).toEqual({ encap: 108, decap: -1 });
    expect(relays).toEqual({ eth0: 5 });
  });

  it('survives as text', () => {
    expect(JSON.parse(JSON.stringify(HERITAGE))).toEqual(HERITAGE);
  });
});

describe('inheritedIo', () => {
  const kernelCounters = { encap: -1, decap: -1 };

  it('goes on as it went, and says again why not faster', () => {
    const notes = ['bpf: no', 'packet: segmentation in software: no shim'];
    expect(inheritedIo({ mode: 'packet', notes, kernelCounters, cookie: null })).toEqual({
      io: ['packet'],
      ioNotes: ['bpf: no'],
    });
  });

  it('says nothing of other fans', () => {
    expect(inheritedIo(undefined)).toEqual({});
  });
});

describe('what is passed on', () => {
  it('of counters is the same by name, and who is blamed', () => {
    const [before, after] = [new Counters(), new Counters()];
    before.add(3, 0, 7);
    before.drop(3, 1, 2);
    before.blame(3, 1, 0x01020304);
    after.restore(5, before.read(3), before.blamed(3));
    expect(after.read(5)).toEqual(before.read(3));
    expect(after.blamed(5)).toEqual(before.blamed(3));
  });

  it('of paths ages on', () => {
    const [before, after] = [new PathMtuTable(), new PathMtuTable()];
    before.learn(1, 1400, 1500, 0);
    before.learn(2, 1300, 1500, 60_000);
    after.add(before.entries(100_000), 5);
    const { expiresInMs } = after.entries(5)[0]!;
    expect(expiresInMs).toBe(500_000);
    expect(after.smallest).toBe(1300);
    after.expire(500_006);
    expect(after.entries(500_006).map(({ address }) => address)).toEqual([2]);
  });
});
