/** `fanctl completion`: the scripts in real shells, with the fans that a state file names. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { FAN_FLAGS } from '../../src/config/fan-flags.js';
import { DEFAULT_OPTIONS } from '../../src/config/fan-options.js';
import { built, makeScratch, runBuilt, runCommand } from './run-cli.js';

const scratch = makeScratch();
const runDir = join(scratch, 'run');
const SHELLS = ['bash', 'zsh', 'fish'];

const FAN = {
  view: {
    bridge: 'fan-250-0-28',
    overlay: '250.0.0.0/8',
    underlay: '172.30.0.28/16',
    device: 'eth0',
    state: 'up',
    flags: 'dhcp host-reserve 1',
  },
  request: { overlay: '250.0.0.0/8', underlay: 'eth0/16', options: DEFAULT_OPTIONS },
  steps: [],
};

function scriptOf(shell: string): string {
  return join(scratch, `completion.${shell}`);
}

beforeAll(async () => {
  mkdirSync(runDir);
  writeFileSync(join(runDir, 'state.json'), JSON.stringify({ version: 1, fans: [FAN] }));
  symlinkSync(built('cli/fanctl.js'), join(scratch, 'fanctl'));
  writeFileSync(join(scratch, 'their.pcap'), '');
  for (const shell of SHELLS) {
    const { status, stdout, stderr } = await runBuilt('cli/fanctl.js', ['completion', shell], runDir);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    writeFileSync(scriptOf(shell), stdout);
  }
});

/** What bash offers where the last of `words` is being typed. */
async function offers(...words: string[]): Promise<string[]> {
  // As readline calls it: the words, and which of them the cursor is in.
  const script = `
    PATH=$1:$PATH; source "$2"; shift 2
    [[ $(complete -p fanctl) == 'complete -F _fanctl fanctl' ]] || exit 1
    COMP_WORDS=(fanctl "$@"); COMP_CWORD=$#
    cd "$UFAN_RUN_DIR/.." && _fanctl && printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['-c', script, 'bash', scratch, scriptOf('bash'), ...words];
  const { status, stdout, stderr } = await runCommand('bash', args, runDir);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  it('completes commands', async () => {
    expect(await offers('s')).toEqual(['show', 'stats']);
    expect(await offers('')).toEqual(
      expect.arrayContaining(['up', 'down', 'help', 'completion', '--version']),
    );
    expect(await offers('--v')).toEqual(['--version']);
    expect(await offers('help', 'do')).toEqual(['down', 'doctor']);
  });

  it('completes the flags of up, with and without dashes, and the values that they list', async () => {
    const words = await offers('up', '250.0.0.0/8', '');
    for (const { name } of FAN_FLAGS) expect(words).toContain(name);
    expect(words).toEqual(expect.arrayContaining(['-o', '-u', '--workers', '--help', 'lo', 'default']));
    expect(await offers('up', '250', 'eth0', 'host-r')).toEqual(['host-reserve']);
    expect(await offers('up', '250', 'eth0', '--host-r')).toEqual(['--host-reserve']);
    expect(await offers('up', '250', 'eth0', 'io', '')).toEqual(['auto', 'raw', 'packet', 'bpf']);
    expect(await offers('up', '250', 'eth0', '--io', 'p')).toEqual(['packet']);
    // readline takes a word apart at "=".
    expect(await offers('up', '250', 'eth0', '--io', '=', 'p')).toEqual(['packet']);
    expect(await offers('up', '250', 'eth0', '--io', '=')).toEqual(['auto', 'raw', 'packet', 'bpf']);
    expect(await offers('up', '250', 'eth0', '--workers', '')).toEqual([]);
  });

  it('completes fans that are up', async () => {
    expect(await offers('down', '2')).toEqual(['250.0.0.0/8']);
    expect(await offers('down', '250.0.0.0/8', '1')).toEqual(['172.30.0.28/16']);
    expect(await offers('down', '-o', '')).toEqual(['250.0.0.0/8']);
    expect(await offers('down', '-u', '')).toEqual(['172.30.0.28/16']);
    const ofDown = ['--every', '--all', '--force', '--dry-run', '--json', '--quiet', '--help'];
    expect(await offers('down', '--')).toEqual(ofDown);
    expect(await offers('trace', '--fan', '')).toEqual(['fan-250-0-28']);
  });

  it('completes options, files and shells', async () => {
    expect(await offers('stats', '-')).toEqual(['--json', '--all', '-q', '--quiet', '--help']);
    expect(await offers('capture', '-w', 'their')).toEqual(['their.pcap']);
    expect(await offers('dissect', 'the')).toEqual(['their.pcap']);
    expect(await offers('completion', '')).toEqual(expect.arrayContaining(SHELLS));
    expect(await offers('frobnicate', '')).toEqual([]);
  });
});

function requireShell(shell: string, context: TestContext): void {
  if (spawnSync(shell, ['-c', 'true']).status !== 0)
    context.skip(`${shell} is not installed (apt-get install ${shell})`);
}

describe.each(['zsh', 'fish'])('%s', (shell) => {
  it('takes the script', async (context) => {
    requireShell(shell, context);
    expect(await runCommand(shell, ['-n', scriptOf(shell)], runDir)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });
});

it('fish offers commands, flags and fans', async (context) => {
  requireShell('fish', context);
  const ask = async (line: string): Promise<string> => {
    const script = `set -x PATH ${scratch} $PATH; source ${scriptOf('fish')}; complete -C '${line}'`;
    return (await runCommand('fish', ['--no-config', '-c', script], runDir)).stdout;
  };
  expect(await ask('fanctl s')).toBe(
    'show\tlist the fans that are up\nstats\tshow what was carried and what was dropped, and why\n',
  );
  expect(await ask('fanctl up 250 host')).toContain('host-reserve\t');
  expect(await ask('fanctl up 250 --io p')).toBe('packet\n');
  expect(await ask('fanctl down 25')).toBe('250.0.0.0/8\n');
});
