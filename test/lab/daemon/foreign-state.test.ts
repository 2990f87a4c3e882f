/**
 * A state file that no fand wrote: by what it names nothing is undone, and the fans stay as they are until the right one
 * is back. Each line bends one value of the file that a fand, killed, really left.
 */
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { FanRecord, State } from '../../../src/control/state-store.js';
import { killFand } from '../fan-lab.js';

const FAN = ['250.0.0.0/8', 'eth0/16'];

let lab: Lab;
let file: string;
let right: string;
let outside: string;

beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 0 });
  const host = lab.host(1);
  file = join(host.dir, 'state.json');
  // With all that is recorded: rules in a chain of others, DHCP, rp_filter, forwarding.
  await host.exec([
    'nft',
    'add table ip f; add chain ip f in { type filter hook input priority 0; policy drop; }',
  ]);
  await host.exec(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1']);
  await host.fanctl(['up', ...FAN, 'dhcp']);
  await killFand(host);
  right = readFileSync(file, 'utf8');
  outside = mkdtempSync('/tmp/ufan-outside-');
});
afterAll(() => {
  lab.remove();
  rmSync(outside, { recursive: true, force: true });
});

async function refusal(words: readonly string[]): Promise<string> {
  const before = await devices();
  const message = await lab
    .host(1)
    .fanctl(words)
    .then(
      () => '',
      (error: unknown) => (error as Error).message,
    );
  expect(await devices()).toBe(before);
  return message;
}

async function devices(): Promise<string> {
  const { stdout } = await lab.host(1).exec(['ip', '-j', 'address']);
  const links = JSON.parse(stdout) as { ifname: string; addr_info: { local: string }[] }[];
  return links.map(({ ifname, addr_info }) => `${ifname} ${addr_info.map(({ local }) => local)}`).join('\n');
}

function stepOf(fan: FanRecord, kind: string): Record<string, unknown> {
  return fan.steps.find((step) => step.kind === kind)!.data as Record<string, unknown>;
}

const bent: readonly (readonly [string, string, (state: State, fan: FanRecord) => void])[] = [
  [
    'a bridge outside',
    'fans[0].steps[1].data.bridge',
    (_, fan) => (stepOf(fan, 'bridge').bridge = '../../x'),
  ],
  ['a TUN with a blank', 'fans[0].steps[2].data.tun', (_, fan) => (stepOf(fan, 'tun').tun = 'a b')],
  ['an option of ip', 'fans[0].steps[3].data.overlay', (_, fan) => (stepOf(fan, 'route').overlay = '-batch')],
  [
    'a sysctl outside',
    'fans[0].steps[4].data',
    (_, fan) => (stepOf(fan, 'rp-filter').before = { '../../../kernel': '1' }),
  ],
  ['another table', 'fans[0].steps[5].data.table', (_, fan) => (stepOf(fan, 'nat').table = 'f')],
  [
    'a file outside',
    'fans[0].steps[7].data.runDir',
    (_, fan) => (stepOf(fan, 'dhcp').runDir = '/run/../etc'),
  ],
  [
    'a step of no kind',
    'fans[0].steps[0].data',
    (_, fan) => Object.assign(fan.steps[0]!, { kind: 'toString' }),
  ],
  [
    'a plan of another shape',
    'fans[0].plan.mapping.shift',
    (_, fan) => Object.assign(fan.plan.mapping, { shift: 1e9 }),
  ],
  ['a view without a name', 'fans[0].view.bridge', (_, fan) => (fan.view.bridge = '')],
  ['fans that are none', 'fans', (state) => Object.assign(state, { fans: { length: 1 } })],
];

describe('a state file with', () => {
  it.each(bent)('%s is refused, and nothing undone', async (_, place, bend) => {
    const state = JSON.parse(right) as State;
    bend(state, state.fans[0]!);
    writeFileSync(file, JSON.stringify(state));
    const words = Array.isArray(state.fans) ? ['down', ...FAN] : ['up', ...FAN];
    const message = await refusal(words);
    expect(message).toContain(`${file} is no state file of fand: move it away`);
    expect(message).toContain(`(${place}`);
  });

  it('another owner, or a link in its place, is refused', async () => {
    writeFileSync(file, right);
    chownSync(file, 65534, 65534);
    expect(await refusal(['down', ...FAN])).toContain('of user 65534: move it away');
    rmSync(file);
    writeFileSync(join(outside, 'state.json'), right);
    symlinkSync(join(outside, 'state.json'), file);
    expect(await refusal(['down', ...FAN])).toContain('a symbolic link: move it away');
    rmSync(file);
  });

  it('what fand wrote is taken, and all of it undone', async () => {
    writeFileSync(file, right);
    await lab.host(1).fanctl(['down', ...FAN]);
    expect(await devices()).not.toContain('fan-');
    expect(existsSync(file)).toBe(false);
  });
});
