/** show, stats and down where no fand runs: the state file that a dead one left, a damaged one, none. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEFAULT_OPTIONS } from '../../src/config/fan-options.js';
import type { FanView, StateFile } from '../../src/control/protocol.js';
import { makeScratch, type Result, runBuilt } from './run-cli.js';

const scratch = makeScratch();

const FAN: FanView = {
  bridge: 'fan-250-0-28',
  overlay: '250.0.0.0/8',
  underlay: '172.30.0.28/16',
  slice: '250.0.28.0/24',
  gateway: '250.0.28.1',
  device: 'eth0',
  mtu: 1480,
  io: 'raw',
  ioNotes: [],
  workers: 1,
  state: 'up',
  health: [],
  flags: 'dhcp host-reserve 1',
};
const OTHER: FanView = {
  ...FAN,
  bridge: 'fan-240-11',
  overlay: '240.0.0.0/8',
  underlay: '192.168.202.11/24',
  device: 'enp0s3',
  flags: 'host-reserve 2',
};

const HEADER = 'Bridge           Overlay              Underlay             Flags\n';
const FAN_ROW = 'fan-250-0-28     250.0.0.0/8          172.30.0.28/16       dhcp host-reserve 1 dead\n';
const OTHER_ROW = 'fan-240-11       240.0.0.0/8          192.168.202.11/24    host-reserve 2 dead\n';

/** A run directory with the state that a fand with these fans would have left. */
function leaveState(name: string, views: readonly FanView[]): string {
  const fans = views.map((view) => {
    const request = { overlay: view.overlay, underlay: `${view.device}/16`, options: DEFAULT_OPTIONS };
    // What fand records besides is none of fanctl's business.
    return { view: { ...view, secret: 1 }, request, steps: [] };
  });
  const state: StateFile = { version: 1, fans };
  return leaveText(name, JSON.stringify(state));
}

function leaveText(name: string, text: string): string {
  const dir = join(scratch, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'state.json'), text);
  return dir;
}

function fanctl(runDir: string, ...args: string[]): Promise<Result> {
  return runBuilt('cli/fanctl.js', args, runDir);
}

describe('with no state', () => {
  const none = join(scratch, 'none');
  it.each([
    [['show'], HEADER],
    [['show', '--json'], '[]\n'],
    [['stats'], 'host: what belongs to no fan\n  nothing counted\n'],
    [['show', '--quiet'], ''],
    [['leases'], 'Bridge           Address         MAC               Name                 Expires\n'],
    [['leases', '--json'], '[]\n'],
    [['stats', '--quiet'], ''],
    [['down', '-e'], ''],
    [['down', '-e', '--json'], '{\n  "bridges": [],\n  "notes": []\n}\n'],
    [['down', '-e', '--dry-run'], ''],
    [['down', '--every'], ''],
  ])('%s succeeds and starts nothing', async (words, stdout) => {
    expect(await fanctl(none, ...words)).toEqual({ status: 0, stdout, stderr: '' });
    expect(existsSync(none)).toBe(false);
  });

  it('stats --json has its shape', async () => {
    const { stdout } = await fanctl(none, 'stats', '--json');
    expect(JSON.parse(stdout)).toEqual({ host: { counters: {} }, fans: [] });
  });
});

describe('with fans that a dead fand left', () => {
  const dir = leaveState('dead', [FAN, OTHER]);

  it.each([
    [['show'], HEADER + FAN_ROW + OTHER_ROW],
    [['show', '250'], HEADER + FAN_ROW],
    [['show', '-q'], 'fan-250-0-28\nfan-240-11\n'],
    [['show', '172.30.0.0/16'], HEADER + FAN_ROW],
    [['show', '172.30.0.0/24'], HEADER],
    [['show', '172.30.0.28'], HEADER + FAN_ROW],
    [['show', 'eth0'], HEADER + FAN_ROW],
    [['show', '250', '-u', 'eth0/16'], HEADER + FAN_ROW],
    [['show', 'enp0s3/24'], HEADER + OTHER_ROW],
    [['show', 'eth0/24'], HEADER],
    [['show', '240', 'eth0'], HEADER],
  ])('%s', async (words, stdout) => {
    expect(await fanctl(dir, ...words)).toEqual({ status: 0, stdout, stderr: '' });
  });

  it('show --json has the documented keys, in order, and state dead', async () => {
    const { status, stdout } = await fanctl(dir, 'show', '250', '--json');
    expect(status).toBe(0);
    expect(stdout).toBe(`${JSON.stringify([{ ...FAN, state: 'dead' }], undefined, 2)}\n`);
  });

  it('stats says that the counters are gone', async () => {
    const { status, stderr } = await fanctl(dir, 'stats', '--json');
    expect(stderr).toBe(
      'fanctl: fand is not running, its counters are gone: bring fan-250-0-28, fan-240-11 up again\n',
    );
    expect(status).toBe(1);
  });
});

describe('with a state file that is none', () => {
  it.each([
    ['cut', '{"version": 1, "fans": [', 'is damaged'],
    ['null', 'null', 'is from another version'],
    ['newer', '{"version": 2, "fans": []}', 'is from another version'],
  ])('%s: show and down name the file', async (name, text, part) => {
    const dir = leaveText(name, text);
    for (const words of [['show'], ['down', '-e']]) {
      const { status, stderr } = await fanctl(dir, ...words);
      expect(stderr).toMatch(/^fanctl: [^\n]+\n$/);
      expect(stderr).toContain(`${join(dir, 'state.json')} ${part}`);
      expect(status).toBe(1);
    }
  });
});
