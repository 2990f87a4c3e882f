/** Errors that only a host in a certain state makes, each one line that says what to do, and nothing is changed. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { FAN, until } from '../fan-lab.js';

let lab: Lab;
let host: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 0 });
  host = lab.host(1);
});
afterAll(() => lab?.remove());

/** What it says on stderr. */
async function refused(argv: readonly string[]): Promise<string> {
  const { code, stderr } = await host.exec(argv, { anyExit: true });
  expect(code).toBe(1);
  return stderr;
}

it('a step that would fail is named before', async () => {
  const script = 'mount -t tmpfs tmpfs /dev/net && exec "$@"';
  const up = [process.execPath, FANCTL, 'up', ...FAN, '--dry-run'];
  expect(await refused(['unshare', '--mount', 'sh', '-c', script, 'x', ...up])).toMatch(
    /^fanctl: would fail to set up TUN device .*: .*\/dev\/net\/tun/,
  );
});

it('a firewall that keeps its table to itself', async () => {
  const table =
    'table inet firewalld { flags owner; chain f { type filter hook forward priority 10; policy drop; }; }';
  const owner = host.spawn(['nft', '-i'], { openInput: true });
  owner.say(`${table}\n`);
  const rules = async () => (await host.exec(['nft', 'list', 'ruleset'])).stdout;
  await until(rules, (text) => text.includes('policy drop'));
  expect(await refused([process.execPath, FANCTL, 'up', ...FAN])).toMatch(
    /where firewalld keeps its table to itself: NftablesTableOwner=no in /,
  );
  expect(await rules()).not.toContain('ufan');
  await owner.stop();
});

it('a probe of this host, or of no host', async () => {
  await raiseFan(host, FAN);
  expect(await refused([process.execPath, FANCTL, 'probe', '250.0.28.5'])).toBe(
    'fanctl: 250.0.28.5 is this host: name a peer\n',
  );
  expect(await refused([process.execPath, FANCTL, 'probe', '250.0.0.5'])).toBe(
    "fanctl: 250.0.0.5 is no host's: 172.30.0.0 is the network address\n",
  );
});
