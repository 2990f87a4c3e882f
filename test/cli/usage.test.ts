/** What fanctl and fanatic print and return where nothing is to be done: help, versions, and words that are wrong. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAN_FLAGS } from '../../src/config/fan-flags.js';
import { built, makeScratch, runBuilt, runCommand } from './run-cli.js';

const runDir = join(makeScratch(), 'run');
const fanctl = (...args: string[]) => runBuilt('cli/fanctl.js', args, runDir);
const fanatic = (...args: string[]) => runBuilt('cli/fanatic.js', args, runDir);

describe('fanctl', () => {
  it.each([
    [
      '',
      'say what to do: up, down, show, stats, explain, probe, trace, capture, dissect, doctor, top, config, leases, logs, restart, help',
    ],
    [
      'frobnicate',
      'unknown command "frobnicate": say one of up, down, show, stats, explain, probe, trace, capture, dissect, doctor, top, config, leases, logs, restart, help',
    ],
    ['help frobnicate', 'unknown command "frobnicate"'],
    ['help up down', 'one command at a time'],
    ['config', 'config what? say one of list, show, set, unset'],
    ['config frob', 'config has no "frob": say one of list, show, set, unset'],
    ['config list 250', 'config list takes no "250": see config show'],
    ['config set 250', 'an underlay such as eth0/16'],
    ['config set 250 eth0 dchp', 'unknown word "dchp", did you mean dhcp?'],
    ['config unset', 'an overlay such as 250.0.0.0/8 and an underlay'],
    ['up -a 250 eth0', 'up -a takes the fans of /etc/network/fan: name none beside it'],
    ['up 250 172.30.0.0/16', 'this host has no address in 172.30.0.0/16; it has none'],
    ['up 250 eth0 --dry-run', 'this host has no device eth0'],
    ['up 250 eth0 --workers', '--workers needs a value, N'],
    ['down -a 250 eth0', 'down -a takes the fans of /etc/network/fan: name none beside it'],
    ['down -a -e', 'down -a takes the fans of /etc/network/fan: name none beside it'],
    ['down 250 eth0 --dry-run', '250.0.0.0/8 on eth0/16 is not configured'],
    ['down 250 172.30.0.0/16 --force', '250.0.0.0/8 on 172.30.0.0/16 is not configured'],
    ['leases 250', 'leases takes no "250"'],
    ['leases --frob', 'leases takes no "--frob"'],
    ['logs 250', 'logs takes no "250"'],
    ['logs -n 0', '-n: "0" is no number from 1 to 1000000'],
    ['logs -n many', '-n: "many" is no number'],
    ['logs', 'there is no log: '],
    ['restart', 'fand is not running and there is no fan: bring one up with fanctl up'],
    ['restart 250', 'restart takes no "250"'],
    ['show 250 --frob', 'unknown option --frob'],
    ['up', 'an overlay such as 250.0.0.0/8 and an underlay such as eth0/16'],
    ['up 250', 'an underlay such as eth0/16'],
    ['up 250.0.0.1/8 eth0', 'did you mean 250.0.0.0/8?'],
    ['up 250.0.0.0/08 eth0', '"250.0.0.0/08" is no overlay'],
    ['up 250 eth0 dchp', '"dchp"'],
    ['up 250 eth0 --frob', 'unknown option --frob'],
    ['up 250 eth0 ttl 0', 'ttl: "0" is out of range'],
    ['up 250 eth0 off', 'off is for a line of /etc/network/fan'],
    ['down', 'an overlay such as'],
    ['down -e 250 eth0', 'name none beside it'],
    ['down 250 eth0', '250.0.0.0/8 on eth0/16 is not configured'],
    ['show 250 default', 'name one instead of "default"'],
    ['stats 250', 'stats takes no "250"'],
    ['explain', 'explain what? an address such as 250.0.27.2'],
    ['explain 250.0.27', '"250.0.27" is no IPv4 address'],
    ['explain 250.0.27.2 to 250.0.28.2', 'explain takes no "to"'],
    ['explain 250.0.27.2 from', 'from needs an address'],
    ['explain 250.0.27.2 from eth0', '"eth0" is no IPv4 address'],
    ['explain 250.0.27.2 from 250.0.28.2 x', 'explain takes no "x"'],
    ['explain 250.0.27.2', 'no fan is up: name one, --fan "250.0.0.0/8 172.30.0.28/16"'],
    ['probe', 'probe which peer? an address such as 172.30.0.27'],
    ['probe host', '"host" is no IPv4 address'],
    ['probe 172.30.0.27 172.30.0.29', 'probe takes no "172.30.0.29"'],
    ['probe 172.30.0.27 -c 0', '-c: "0" is no number from 1 to 20'],
    ['probe 172.30.0.27 -c 21', '-c: "21" is no number from 1 to 20'],
    ['probe 172.30.0.27 -c', '-c needs a value, N'],
    ['probe 172.30.0.27', 'fand is not running: bring a fan up'],
    ['explain 250.0.27.2 --fan', '--fan needs a value, FAN'],
    ['explain 250.0.27.2 --fan=250', 'an underlay such as eth0/16'],
    ['trace host and', 'bad filter "host and": syntax error'],
    ['trace -c 0', '-c: "0" is no number from 1'],
    ['trace -c', '-c needs a value, N'],
    ['trace -c0', '-c: "0" is no number from 1'],
    ['trace --frob', 'unknown option --frob'],
    ['trace icmp', 'fand is not running'],
    ['capture icmp', 'say where to: -w FILE'],
    ['capture -w', '-w needs a value, FILE'],
    ['capture -w /nowhere/x.pcapng', 'cannot write /nowhere/x.pcapng: ENOENT'],
    ['capture -w - --json', 'unknown option --json'],
    ['dissect', 'dissect what? a capture file'],
    ['dissect a b', 'dissect takes no "b"'],
    ['dissect a', 'no fan is up here: say which, --fan'],
    ['dissect a --fan=250', 'an underlay such as eth0/16'],
    ['dissect a --frob', 'dissect takes no "--frob"'],
    ['top', 'fand is not running'],
    ['top 250', 'top takes no "250"'],
    ['top --frob', 'top takes no "--frob"'],
    ['top -d', '-d needs a value, SECONDS'],
    ['top -d 0', '-d: "0" is no number of seconds from 0.1 to 3600'],
    ['top -d 1s', '-d: "1s" is no number of seconds'],
    ['top -d=3601', '-d: "3601" is no number of seconds'],
    ['top -n 0', '-n: "0" is no number from 1'],
    ['top -n many', '-n: "many" is no number from 1'],
    ['doctor 250', 'doctor takes no "250"'],
    ['doctor --frob', 'doctor takes no "--frob"'],
    ['sohw', 'unknown command "sohw", did you mean show?'],
    ['sohw --help', 'unknown command "sohw", did you mean show?'],
    ['help sohw', 'unknown command "sohw", did you mean show?'],
    ['--hlep', 'unknown option --hlep, did you mean --help?'],
    ['--vresion', 'unknown option --vresion, did you mean --version?'],
    ['up --hlep', 'unknown option --hlep, did you mean --help?'],
    ['up 250 eth0 --dchp', 'unknown option --dchp, did you mean --dhcp?'],
    ['up 250 eth0 --host-resreve=10', 'did you mean --host-reserve?'],
    ['up 250 eth0 --wrokers 2', 'unknown option --wrokers, did you mean --workers?'],
    ['up 250 eth0 dchp', 'unknown word "dchp", did you mean dhcp?'],
    ['down 250 --evrey', 'unknown option --evrey, did you mean --every?'],
    ['show --jsno', 'unknown option --jsno, did you mean --json?'],
    ['doctor --fxi', 'doctor takes no "--fxi", did you mean --fix?'],
    ['explain --fna x 250.0.27.2', 'explain takes no "--fna", did you mean --fan?'],
    ['trace --drosp', 'unknown option --drosp, did you mean --drops?'],
    ['completion', 'completion for which shell? bash, zsh, fish'],
    ['completion ksh', 'completion knows no "ksh": say bash, zsh, fish'],
    ['completion bash zsh', 'completion takes no "zsh"'],
  ])('%s: one line on stderr, exit 1, nothing started', async (line, part) => {
    const { status, stdout, stderr } = await fanctl(...line.split(' ').filter((word) => word !== ''));
    expect(stderr).toMatch(/^fanctl: [^\n]+\n$/);
    expect(stderr).toContain(part);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(existsSync(runDir)).toBe(false);
  });

  it.each(['help', '--help', '-h'])('%s gives the overview', async (word) => {
    const { status, stdout, stderr } = await fanctl(word);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of [
      'up',
      'down',
      'show',
      'stats',
      'explain',
      'probe',
      'trace',
      'capture',
      'dissect',
      'doctor',
      'top',
      'help',
    ])
      expect(stdout).toContain(`  fanctl ${name}`);
  });

  it.each([
    ['help', 'up'],
    ['up', '--help'],
    ['up', '250', '-h', 'eth0'],
  ])('%s %s explains up', async (...words) => {
    const { status, stdout } = await fanctl(...words);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^usage: fanctl up OVERLAY UNDERLAY/);
    for (const { name } of FAN_FLAGS) expect(stdout).toContain(`\n  ${name} `);
  });

  it('gives each command a help with its form, options and examples', async () => {
    const names = [
      'up',
      'down',
      'show',
      'stats',
      'explain',
      'probe',
      'trace',
      'capture',
      'dissect',
      'doctor',
      'top',
    ];
    for (const name of [...names, 'help', 'completion']) {
      const { status, stdout } = await fanctl('help', name);
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`^usage: fanctl ${name}.*\n(?:.+\n)*\n[A-Z]`));
      expect(stdout).toMatch(/\nOptions:\n(?:.+\n)* +-h, --help .*\n(?:.+\n)*\n/);
      expect(stdout).toMatch(new RegExp(`\nExamples:\n {2}fanctl (?:${name} ?|.*--help)`));
    }
  });

  it('leaves what stands behind -- alone', async () => {
    expect((await fanctl('trace', '--', '-c', '0')).stderr).toContain('unknown option -c');
    expect((await fanctl('dissect', '--frob', '--', 'a')).stderr).toContain('takes no "--frob"');
  });

  it('prints its version', async () => {
    expect(await fanctl('--version')).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^fanctl \d+\.\d+\.\d+\n$/),
      stderr: '',
    });
  });

  it.each([['up', '250', 'eth0'], ['down', '-e'], ['up'], ['trace'], ['capture']])(
    '%s needs root before anything else',
    async (...words) => {
      // A user namespace without a map: files are still ours, the effective id is nobody's.
      const { status, stdout, stderr } = await runBuilt('cli/fanctl.js', words, runDir, ['--user', '--net']);
      expect(stderr).toBe(`fanctl: ${words[0]} must run as root: try sudo fanctl ${words[0]}\n`);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    },
  );

  it('refuses a run directory whose socket could not be bound', async () => {
    const { status, stderr } = await runBuilt('cli/fanctl.js', ['show'], `/tmp/${'x'.repeat(100)}`);
    expect(stderr).toContain('UFAN_RUN_DIR is too long');
    expect(status).toBe(1);
  });

  it('bears a reader that has gone', async () => {
    const script = `{ sleep 0.1; "$0" "$1" help; echo "status $?" >&2; } | true`;
    const { stderr } = await runCommand(
      'bash',
      ['-c', script, process.execPath, built('cli/fanctl.js')],
      runDir,
    );
    expect(stderr).toBe('status 0\n');
  });

  it('says so where its output can not be written', async () => {
    const script = `"$0" "$1" help > /dev/full`;
    const { status, stderr } = await runCommand(
      'bash',
      ['-c', script, process.execPath, built('cli/fanctl.js')],
      runDir,
    );
    expect(stderr).toMatch(/^fanctl: ENOSPC[^\n]*\n$/);
    expect(status).toBe(1);
  });
});

describe('fanatic', () => {
  it('prints its version', async () => {
    expect((await fanatic('--version')).stdout).toMatch(/^fanatic \d+\.\d+\.\d+\n$/);
  });

  it('explains its commands, each by itself too', async () => {
    const { status, stdout } = await fanatic('--help');
    expect(status).toBe(0);
    for (const name of ['enable-fan', 'disable-docker', 'show']) expect(stdout).toContain(`fanatic ${name} `);
    const one = await fanatic('help', 'enable-docker');
    expect(one.stdout).toMatch(/^usage: fanatic enable-docker /);
    expect((await fanatic('enable-docker', '--help')).stdout).toBe(one.stdout);
  });

  it.each([
    ['', 'say what to do: enable-fan, '],
    ['frobnicate', 'see fanatic --help'],
    ['enabel-fan', 'unknown command "enabel-fan", did you mean enable-fan?'],
    ['--hlep', 'unknown option --hlep, did you mean --help?'],
  ])('%s: one line that names the command, exit 1', async (line, part) => {
    const { status, stdout, stderr } = await fanatic(...line.split(' ').filter((word) => word !== ''));
    expect(stderr).toMatch(/^fanatic: [^\n]+\n$/);
    expect(stderr).toContain(part);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });
});
