/** The micro-benchmarks: what they time does what its oracle does, and their instruments see what they are to see. */
import { describe, expect, it } from 'vitest';
import { microCases } from '../../../bench/micro/cases.js';
import { allocatedBy, timeOf } from '../../../bench/micro/measure.js';
import { BATCH, decapRig, encapRig, hostsOf, overlayOf } from '../../../bench/micro/packets.js';
import { measureScaling } from '../../../bench/micro/scaling.js';
import { slowDecap, slowEncap } from '../../oracle/wire/slow-tunnel.js';
import { bytesOf } from '../dataplane/packets.js';

const FAN = { overlayBase: 250 * 2 ** 24, overlayLength: 8, address: 0xac1e001c, underlayLength: 16 };

describe('the cases', () => {
  it.each(microCases().map((one) => [one.name, one] as const))('%s does what its oracle does', (_, one) => {
    one.check();
  });

  it.each(['map', 'encap', 'decap', 'checksum'])('%s allocates nothing', (name) => {
    const { fast, packets } = microCases().find((one) => one.name === name)!;
    // On a busy machine the compiler may not be done the first time.
    let least = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 5 && least >= 0.1; tries++)
      least = Math.min(least, allocatedBy(fast) / packets);
    expect(least).toBeLessThan(0.1);
  });
});

describe('the instruments', () => {
  it('see what is allocated', () => {
    const kept: number[][] = [];
    expect(allocatedBy(() => kept.push([1, 2, 3, 4]))).toBeGreaterThan(16);
  });

  it('tell the quick from the slow', () => {
    const spin = (turns: number) => () => {
      let sum = 0;
      for (let i = 0; i < turns; i++) sum += Math.sqrt(i);
      return sum;
    };
    expect(timeOf(spin(100_000), 0.05).ns).toBeGreaterThan(10 * timeOf(spin(1000), 0.05).ns);
  });

  it('pass on what a case throws', () => {
    const broken = () => {
      throw new Error('broken');
    };
    expect(() => timeOf(broken, 0.05)).toThrow('broken');
  });
});

describe('packets aimed at many hosts', () => {
  const hosts = hostsOf(1000);

  it('are those of the hosts from there on, in turn', () => {
    const out = encapRig(hosts);
    const back = decapRig(hosts);
    for (const from of [0, 640, 960, 64_000]) {
      for (const [rig, slow] of [
        [out, slowEncap],
        [back, slowDecap],
      ] as const) {
        rig.aim(from);
        rig.run();
        const expected = Array.from({ length: BATCH }, (_, i) => slow(FAN, rig.packets[(from + i) % 1000]!));
        expect(expected.map((_, i) => bytesOf(rig.after, i))).toEqual(expected);
      }
    }
  });

  it('reach every host of a /16 but us and its ends', () => {
    const all = hostsOf(65_533);
    expect(new Set(all).size).toBe(65_533);
    expect([Math.min(...all), Math.max(...all), all.includes(28)]).toEqual([1, 65_534, false]);
  });
});

describe('scaling', () => {
  it('has a figure for each count of hosts and of fans, both ways', () => {
    const shape = measureScaling(16).map(({ what, direction, points }) => {
      return `${direction} ${what} ${points.map(({ count }) => count).join(' ')}`;
    });
    expect(shape).toEqual([
      'encap hosts 1 16 256 4096 65533',
      'decap hosts 1 16 256 4096 65533',
      'encap fans 1 4 16 64',
      'decap fans 1 4 16 64',
    ]);
  });

  it('carries the packets of the last of many fans', () => {
    const rig = encapRig(hostsOf(BATCH), 64);
    rig.run();
    expect(rig.after.count).toBe(BATCH);
    expect(bytesOf(rig.after, 0)[20 + 16]).toBe(Number.parseInt(overlayOf(63), 10));
  });
});
