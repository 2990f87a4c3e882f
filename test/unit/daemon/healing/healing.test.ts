/**
 * When a fan is looked at, how often the same is put back, whether the old iptables has other rules, and which ports a
 * deleted bridge had.
 */
import { describe, expect, it } from 'vitest';
import { Attempts } from '../../../../src/daemon/healing/attempts.js';
import { LegacyWatch } from '../../../../src/daemon/healing/legacy-watch.js';
import { Pace } from '../../../../src/daemon/healing/pace.js';
import { PortMemory } from '../../../../src/daemon/healing/port-memory.js';
import type { LinkRole } from '../../../../src/io/netlink/rtnetlink.js';

describe('Pace', () => {
  it('waits for what settles, and no longer than half a second', () => {
    const pace = new Pace(0);
    expect(pace.due(50)).toBeUndefined();
    pace.note(1000);
    expect(pace.due(1050)).toBeUndefined();
    expect(pace.due(1100)).toBe('prompt');
    pace.begin();
    expect(pace.due(1200)).toBeUndefined();
    for (let ms = 2000; ms < 2500; ms += 50) {
      pace.note(ms);
      expect(pace.due(ms)).toBeUndefined();
    }
    pace.note(2500);
    expect(pace.due(2500)).toBe('prompt');
  });

  it('takes a small share of the time where something changes all the time', () => {
    const pace = new Pace(0);
    let spentMs = 0;
    for (let ms = 0; ms < 59_000; ms += 200) {
      pace.note(ms - 150);
      if (!pace.due(ms)) continue;
      pace.begin();
      pace.end('prompt', 200, ms);
      spentMs += 200;
    }
    expect(spentMs).toBeGreaterThan(10_000);
    expect(spentMs).toBeLessThan(10_000 + 59_000 * 0.06);
  });

  it('looks at all where nothing is told, the seldomer the more that costs', () => {
    const pace = new Pace(0);
    expect(pace.due(299_000)).toBeUndefined();
    expect(pace.due(300_000)).toBe('thorough');
    pace.end('thorough', 300, 300_000);
    expect(pace.due(899_000)).toBeUndefined();
    expect(pace.due(900_000)).toBe('thorough');
  });
});

describe('Attempts', () => {
  it('are three within a minute, and again once it was well', () => {
    const attempts = new Attempts();
    let left = 0;
    const take = (ms: number) => attempts.take('a', ms, () => (left += 1));
    expect([take(0), take(10_000), take(20_000), take(30_000), take(200_000)]).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(left).toBe(1);
    attempts.settle(new Set(['a']));
    expect(take(200_000)).toBe(false);
    attempts.settle(new Set());
    expect(take(200_000)).toBe(true);
  });

  it('are without end where they are seldom', () => {
    const attempts = new Attempts();
    for (let ms = 0; ms < 300_000; ms += 30_000) expect(attempts.take('a', ms, () => undefined)).toBe(true);
  });
});

describe('LegacyWatch', () => {
  it('says nothing of a host without rules, and once of each change', async () => {
    let rules = '';
    const watch = new LegacyWatch(async () => rules);
    expect(await watch.hasChanged(0)).toBe(false);
    rules = '-P FORWARD DROP';
    expect(await watch.hasChanged(9999)).toBe(false);
    expect(await watch.hasChanged(10_000)).toBe(true);
    expect(await watch.hasChanged(20_000)).toBe(false);
    rules = '';
    expect(await watch.hasChanged(30_000)).toBe(true);
  });

  it('looks at rules that were there before it', async () => {
    expect(await new LegacyWatch(async () => '-P FORWARD DROP').hasChanged(0)).toBe(true);
  });
});

describe('PortMemory', () => {
  const link = (index: number, name: string, master = 0): LinkRole => {
    return { index, name, master, kind: '', isUp: true, isForwarding: true, vlanFiltering: false };
  };

  it('gives back those that left as their bridge went, once', () => {
    const ports = new PortMemory();
    ports.note(link(5, 'fan'), false, 0);
    for (const index of [6, 7, 8, 9]) ports.note(link(index, `c${index}`, 5), false, 0);
    // One was taken off before, one deleted, one is on another bridge by now, one has another name.
    ports.note(link(6, 'c6'), false, 1000);
    ports.note(link(7, ''), true, 5000);
    for (const index of [8, 9]) ports.note(link(index, ''), false, 5000);
    ports.note(link(5, 'fan'), true, 5000);
    ports.note(link(8, 'c8', 20), false, 6000);
    ports.note(link(9, 'renamed'), false, 6000);
    expect(ports.takeOrphans('fan')).toEqual(['renamed']);
    expect(ports.takeOrphans('fan')).toEqual([]);
  });

  it('knows them though the bridge was made anew before it was heard that it is gone', () => {
    const ports = new PortMemory();
    ports.note(link(5, 'fan'), false, 0);
    ports.note(link(6, 'c6', 5), false, 0);
    const unheard = [() => ports.note(link(6, ''), false, 1), () => ports.note(link(5, 'fan'), true, 1)];
    ports.follow(() => {
      for (const tell of unheard.splice(0)) tell();
    });
    // Its port is known by the name that it had.
    expect(ports.takeOrphans('fan')).toEqual(['c6']);
  });

  it('knows which ports a bridge has', () => {
    const ports = new PortMemory();
    ports.note(link(5, 'fan'), false, 0);
    ports.note(link(6, 'c1', 5), false, 0);
    ports.note(link(7, 'c2', 4), false, 0);
    expect(ports.portsOf('fan')).toEqual(['c1']);
    expect(ports.portsOf('none')).toEqual([]);
  });
});
