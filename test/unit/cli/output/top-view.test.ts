/** What `fanctl top` shows: every line within the screen, the most telling parts kept where there is no room. */
import { describe, expect, it } from 'vitest';
import type { Reading } from '../../../../src/cli/output/activity-rates.js';
import { ASCII, BLOCKS, RateHistories, renderTop } from '../../../../src/cli/output/top-view.js';

const NO_RATE = { packetsPerSecond: 0, bitsPerSecond: 0 };

function fan(bridge: string, bits = 9.87e9) {
  return {
    bridge,
    overlay: '250.0.0.0/8',
    underlay: '172.30.0.28/16',
    io: 'raw',
    state: 'up' as const,
    out: { packetsPerSecond: 123_456, bitsPerSecond: bits },
    in: { packetsPerSecond: 60_100, bitsPerSecond: 3.21e6 },
  };
}

function reading(parts: Partial<Reading> = {}): Reading {
  return {
    seconds: 1,
    hostname: 'alpha',
    pid: 4711,
    version: '1.2.3',
    uptimeSeconds: 93_784,
    cpuPercent: 34.5,
    rssBytes: 81_000_000,
    workers: [{ busyPercent: 32.4 }],
    fans: [fan('fan-250-0-28')],
    drops: [{ fan: 'fan-250-0-28', reason: 'source-forged', packetsPerSecond: 12, packets: 345 }],
    peers: [
      {
        peer: '172.30.0.27',
        bridge: 'fan-250-0-28',
        out: { packetsPerSecond: 123_456, bitsPerSecond: 9.87e9 },
        in: NO_RATE,
      },
    ],
    pathMtus: [],
    ...parts,
  };
}

function show(of: Reading, rows = 24, columns = 80, history = new RateHistories(), glyphs = ASCII): string[] {
  return renderTop(of, history.byBridge, { columns, rows, glyphs }).map(({ text }) => text);
}

/** As many fans, drops and peers as make any terminal too small. */
function crowded(): Reading {
  const numbers = Array.from({ length: 30 }, (_, i) => i);
  const [drop, peer] = [reading().drops[0]!, reading().peers[0]!];
  return reading({
    fans: numbers.map((i) => fan(`fan-${i}`)),
    drops: numbers.map((i) => ({ ...drop, reason: `reason-${i}` })),
    peers: numbers.map((i) => ({ ...peer, peer: `172.30.0.${i}` })),
  });
}

describe('top', () => {
  it('shows fand, fans, drops and peers', () => {
    expect(show(reading())).toEqual([
      'alpha  fand 4711 up 1d 02:03:04  CPU 35 %  RSS 81.0MB  busy 32 %',
      '1 fan, 1 peer, 0 paths with a smaller MTU',
      '',
      'FAN                     packets/s      bits/s',
      'fan-250-0-28     out         123k       9.87G',
      '  io raw         in         60.1k       3.21M',
      '',
      'DROPS            reason                           packets/s     packets',
      'fan-250-0-28     source-forged                           12         345',
      '',
      'PEER             fan               out pkt/s out bit/s  in pkt/s  in bit/s   MTU',
      '172.30.0.27      fan-250-0-28           123k     9.87G         0         0',
    ]);
  });

  it('keeps rates in and out, and reasons, on 60 columns', () => {
    const long = {
      fan: 'fan-250-0-28',
      reason: 'destination-outside-slice',
      packetsPerSecond: 12,
      packets: 345,
    };
    const pathMtus = [{ peer: '172.30.0.27', mtu: 1400, expiresInMs: 1 }];
    expect(show(reading({ drops: [long], pathMtus }), 24, 60)).toEqual([
      'alpha  fand 4711 up 1d 02:03:04  CPU 35 %  RSS 81.0MB  busy',
      '  32 %',
      '1 fan, 1 peer, 1 path with a smaller MTU',
      '',
      'FAN                  packets/s   bits/s',
      'fan-250-0-28     out      123k    9.87G',
      '  io raw         in      60.1k    3.21M',
      '',
      'DROPS            reason                   packets/s  packets',
      'fan-250-0-28     destination-outside-slice       12      345',
      '',
      'PEER               out p/s  out b/s   in p/s   in b/s   MTU',
      '172.30.0.27           123k    9.87G        0        0  1400',
    ]);
  });

  it('keeps them on 40 columns, in two lines each', () => {
    const long = {
      fan: 'fan-250-0-28',
      reason: 'destination-outside-slice',
      packetsPerSecond: 12,
      packets: 345,
    };
    const pathMtus = [{ peer: '172.30.0.27', mtu: 1400, expiresInMs: 1 }];
    const lines = show(reading({ drops: [long], pathMtus }), 24, 40);
    expect(lines.slice(lines.indexOf(''))).toEqual([
      '',
      'FAN                  packets/s   bits/s',
      'fan-250-0-28     out      123k    9.87G',
      '  io raw         in      60.1k    3.21M',
      '',
      'DROPS            packets/s  packets',
      'destination-outside-slice',
      '  fan-250-0-28          12      345',
      '',
      'PEER                 packets/s   bits/s',
      '172.30.0.27      out      123k    9.87G',
      '  MTU 1400       in          0        0',
    ]);
  });

  it('marks the titles', () => {
    const lines = renderTop(reading(), new Map(), { columns: 80, rows: 24, glyphs: ASCII });
    expect(lines.filter(({ isTitle }) => isTitle).map(({ text }) => text.split(' ')[0])).toEqual([
      'FAN',
      'DROPS',
      'PEER',
    ]);
  });

  it('says so where there is nothing', () => {
    expect(show(reading({ fans: [], drops: [], peers: [], workers: [] }))).toEqual([
      'alpha  fand 4711 up 1d 02:03:04  CPU 35 %  RSS 81.0MB  no worker',
      'no fan is up, 0 peers, 0 paths with a smaller MTU',
    ]);
  });

  it('shows a dead fan as that', () => {
    expect(show(reading({ fans: [{ ...fan('fan-99'), state: 'dead' }] }))).toContain('fan-99           dead');
  });

  it('shows the MTU of a path with its peer, and a path whose peer is quiet', () => {
    const pathMtus = [
      { peer: '172.30.0.27', mtu: 1400, expiresInMs: 1 },
      { peer: '172.30.0.99', mtu: 576, expiresInMs: 1 },
    ];
    const lines = show(reading({ pathMtus }));
    expect(lines[1]).toBe('1 fan, 1 peer, 2 paths with a smaller MTU');
    expect(lines.slice(-2)).toEqual([
      '172.30.0.27      fan-250-0-28           123k     9.87G         0         0  1400',
      '172.30.0.99                                0         0         0         0   576',
    ]);
  });

  it('draws the last readings, the newest at the right edge', () => {
    const history = new RateHistories();
    for (const bits of [0, 5e9, 1e10]) history.add(reading({ fans: [fan('fan-250-0-28', bits)] }));
    const line = show(reading(), 24, 80, history, BLOCKS).find((text) =>
      text.startsWith('fan-250-0-28     out'),
    )!;
    expect(line).toHaveLength(80);
    expect(line).toMatch(/ {20,}▁▅█$/);
  });

  it('forgets the past of a fan that is gone, and keeps no more than a screen shows', () => {
    const history = new RateHistories();
    for (let i = 0; i < 1000; i++) history.add(reading());
    expect(history.byBridge.get('fan-250-0-28')!.out).toHaveLength(300);
    history.add(reading({ fans: [fan('other')] }));
    expect([...history.byBridge.keys()]).toEqual(['other']);
  });

  it.each([
    [80, 24],
    [80, 12],
    [40, 10],
    [200, 60],
    [10, 3],
    [1, 1],
  ])('keeps within %d × %d', (columns, rows) => {
    const history = new RateHistories();
    for (let i = 0; i < 400; i++) history.add(crowded());
    for (const of of [reading(), crowded()]) {
      const lines = show(of, rows, columns, history);
      expect(lines.length).toBeLessThanOrEqual(rows);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  it('keeps some of each list, says how many are left out, and fills the screen', () => {
    const lines = show(crowded());
    expect(lines.length).toBeGreaterThan(21);
    expect(lines.filter((line) => /^ {2}and \d+ more$/.test(line))).toHaveLength(3);
    expect(lines.filter((line) => / reason-\d+ /.test(line)).length).toBeGreaterThanOrEqual(3);
    expect(lines.some((line) => line.startsWith('172.30.0.0 '))).toBe(true);
    const shown = lines.filter((line) => line.startsWith('fan-') && line.includes(' out ')).length;
    expect(lines).toContain(`  and ${30 - shown} more`);
  });

  it('shows everything where lines are not limited', () => {
    const endless = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY, glyphs: ASCII };
    const lines = renderTop(crowded(), new Map(), endless);
    expect(lines.filter(({ text }) => text.includes('more'))).toEqual([]);
    expect(lines).toHaveLength(2 + (2 + 60) + (2 + 30) + (2 + 30));
  });
});
