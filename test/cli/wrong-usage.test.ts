/**
 * Wrong usages as people type them, fifteen and more of each program: one line, exit 1, and in it what to do next.
 * Nothing is started, made or changed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { built, makeScratch, runCommand } from './run-cli.js';

const runDir = join(makeScratch(), 'run');

/** The words, and the part of the answer that says what to do. */
type Usage = readonly [words: readonly string[], remedy: string];

const FANCTL: readonly Usage[] = [
  [['ups', '250', 'eth0'], 'did you mean up?'],
  [['list'], 'say one of up, down, show'],
  [['show', 'nonsense'], 'name a bridge, an overlay or an underlay that fanctl show lists'],
  [['show', '-o', '250.0.0.1/8'], 'did you mean 250.0.0.0/8?'],
  [['up', '10.0.0.0/8'], 'an underlay such as eth0/16'],
  [['up', 'eth0/16', 'eth1/16'], 'write one such as 250.0.0.0/8, or 250 for it'],
  [['up', '250', 'eth0/33'], 'the width after / is 0 to 32'],
  [
    ['up', '250', '172.30.0.28/sixteen'],
    'write one such as 172.30.0.28/16, 172.30.0.0/16, eth0/16 or default/16',
  ],
  [['up', '250', 'eth0', '--host-reserve', 'ten'], 'say a number from 1 to'],
  [['up', '250', 'eth0', '--dhcp=yes'], 'dhcp takes no value'],
  [['up', '250', 'eth0', 'io', 'turbo'], 'say auto or raw or packet or bpf'],
  [['up', '-o', '250', '-o', '251', '-u', 'eth0'], 'say it once'],
  [['up', '250', 'eth0', '--ttl'], '--ttl N|inherit'],
  [['down'], 'an overlay such as 250.0.0.0/8 and an underlay such as eth0/16'],
  [['down', '--all-of-them'], "for a command's own see fanctl help"],
  [['stats', '--jason'], 'did you mean --json?'],
  [['explain', '250.0.27.300'], 'write four numbers such as 172.30.0.28'],
  [
    ['explain', '250.0.27.2', '--fan', '250.0.0.0/8 eth0/16'],
    'as an address and width, such as 172.30.0.28/16',
  ],
  [['probe', '172.30.0.27', '--count', '3'], 'see fanctl help probe'],
  [['trace', 'prot icmp'], 'syntax error'],
  [['capture'], 'say where to: -w FILE'],
  [['dissect', '/nowhere.pcap', '--fan', '250 172.30.0.28'], 'ENOENT'],
  [['doctor', '--fix-it'], 'did you mean --fix?'],
  [['top', '-d', '0.01'], 'from 0.1 to 3600'],
  [['completion', 'powershell'], 'say bash, zsh, fish'],
  [['help', 'pu'], 'did you mean up?'],
];

const FANATIC: readonly Usage[] = [
  [[], 'fanatic help explains'],
  [['enable'], 'see fanatic --help'],
  [['enable-fna'], 'did you mean enable-fan?'],
  [['enable-fan'], 'an overlay such as 250.0.0.0/8 and an underlay such as eth0/16'],
  [['enable-fan', '250'], 'what is missing: an underlay such as eth0/16'],
  [['enable-fan', '-u', '172.30.0.0/16', '-o', '250.0.0.0/8'], 'name the network of one, or a device'],
  [['enable-fan', '250', 'eth0/33'], 'the width after / is 0 to 32'],
  [['enable-dokcer'], 'did you mean enable-docker?'],
  [['enable-docker', '250.0.0.0/8'], 'fanatic enable-fan -o 250.0.0.0/8'],
  [['enable-docker', '--netwrok', 'x'], 'did you mean --network?'],
  [['disable-docker', 'eth0/16', 'eth1/16'], 'write one such as 250.0.0.0/8, or 250 for it'],
  [['disable-lxd', '-o', '250', '-o', '251'], 'say it once'],
  [['enable-lxd', '--native', '250', 'eth0'], '--native takes no fan'],
  [['test'], 'say one of local-docker, local-podman, local-lxd, local-incus'],
  [['test', 'local-rkt'], 'say one of local-docker, local-podman, local-lxd, local-incus'],
  [['show', '--jsno'], 'did you mean --json?'],
  [['configure', '250'], 'what is missing: an underlay such as eth0/16'],
  [['deconfigure', '250', 'eth0', 'x'], 'want one overlay and one underlay'],
  [['--vresion'], 'did you mean --version?'],
  [['-v'], 'see fanatic --help'],
  [['-h250'], 'see fanatic --help'],
];

const FAND: readonly Usage[] = [
  [['--bogus'], 'see fand --help'],
  [['-d'], 'see fand --help'],
  [['start'], 'see fand --help'],
  [['--restore', 'all'], 'see fand --help'],
  [['--restroe'], 'did you mean --restore?'],
  [['--metric', '127.0.0.1:9477'], 'did you mean --metrics?'],
  [['--leave-afetr=3'], 'did you mean --leave-after?'],
  [['--workers'], 'needs a value, N: see fand --help'],
  [['--workers', '0'], 'from 1 to 16'],
  [['--workers=many'], 'from 1 to 16'],
  [['--workers', '17'], 'from 1 to 16'],
  [['--leave-after', 'soon'], 'from 0 to 86400'],
  [['--leave-after=-1'], 'from 0 to 86400'],
  [['--metrics', '9477'], 'such as 127.0.0.1:9477 or [::1]:9477'],
  [['--metrics', '0.0.0.0:9477'], 'such as 127.0.0.1:9477 or [::1]:9477'],
  [['--metrics', '127.0.0.1:70000'], 'such as 127.0.0.1:9477 or [::1]:9477'],
];

const PROGRAMS = [
  ['fanctl', 'cli/fanctl.js', FANCTL],
  ['fanatic', 'cli/fanatic.js', FANATIC],
  ['fand', 'daemon/fand.js', FAND],
] as const;

describe.each(PROGRAMS)('%s', (name, file, usages) => {
  it('has fifteen', () => {
    expect(usages.length).toBeGreaterThanOrEqual(15);
  });

  it.each(usages.map(([words, remedy]) => ({ words, remedy })))(
    '$words: $remedy',
    async ({ words, remedy }) => {
      const argv = ['--net', process.execPath, built(file), ...words];
      const { status, stdout, stderr } = await runCommand('unshare', argv, runDir);
      // What fand says of a value may be in its log, which is JSON.
      expect((stdout + stderr).replaceAll('\\"', '"')).toContain(remedy);
      expect(stdout + stderr).toMatch(/^[^\n]+\n$/);
      if (name !== 'fand') expect(stderr).toMatch(new RegExp(`^${name}: `));
      expect(status).toBe(1);
      expect(existsSync(runDir)).toBe(false);
    },
  );
});
