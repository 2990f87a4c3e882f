/** The documentation against the code, in both directions: counters, flags, options and commands. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { capture } from '../../src/cli/commands/capture.js';
import { completionCommand } from '../../src/cli/commands/completion.js';
import { config } from '../../src/cli/commands/config.js';
import { dissect } from '../../src/cli/commands/dissect.js';
import { doctor } from '../../src/cli/commands/doctor.js';
import { down } from '../../src/cli/commands/down.js';
import { explain } from '../../src/cli/commands/explain.js';
import { helpCommand } from '../../src/cli/commands/help.js';
import { leases } from '../../src/cli/commands/leases.js';
import { logs } from '../../src/cli/commands/logs.js';
import { probe } from '../../src/cli/commands/probe.js';
import { restart } from '../../src/cli/commands/restart.js';
import { show } from '../../src/cli/commands/show.js';
import { stats } from '../../src/cli/commands/stats.js';
import { top } from '../../src/cli/commands/top.js';
import { trace } from '../../src/cli/commands/trace.js';
import { up } from '../../src/cli/commands/up.js';
import { FAN_FLAGS } from '../../src/config/fan-flags.js';
import { COUNTER_NAMES } from '../../src/dataplane/tables/counters.js';
import { CHECKS } from '../../src/diagnosis/doctor/checks.js';
import { PROBE_CHECKS } from '../../src/diagnosis/probe/checks.js';
import { RUNTIMES } from '../../src/runtimes/runtimes.js';

const READERS = [show, stats, explain, probe, trace, capture, dissect, doctor, top];
const WORKERS = [up, down, ...READERS, config, leases, logs, restart];
const COMMANDS = [...WORKERS, helpCommand(new Map()), completionCommand(new Map())];

function pathOf(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

function read(path: string): string {
  return readFileSync(pathOf(path), 'utf8');
}

/** The `.It` lines of a section of an mdoc page, without their macro. */
function itemsOf(page: string, section: string): string[] {
  const sections = read(page).split(/^\.Sh /m);
  const body = sections.find((text) => text.startsWith(`${section}\n`)) ?? '';
  return [...body.matchAll(/^\.It (.*)$/gm)].map((match) => match[1]!);
}

/** The options of an `.It Fl` line: "Fl e , -every" is -e and --every. */
function optionsOf(item: string): string[] {
  const words = item.replace(/ Ar .*/, '').split(' ');
  return words[0] === 'Fl'
    ? words
        .slice(1)
        .filter((word) => word !== ',')
        .map((word) => `-${word}`)
    : [];
}

describe('docs/counters.md', () => {
  it('lists exactly the counters of the code, in their order, each with unit and meaning', () => {
    const rows = [...read('docs/counters.md').matchAll(/^\| `([^`]+)` \| (packets|bytes) \| \S.* \|$/gm)];
    expect(rows.map((row) => row[1])).toEqual([...COUNTER_NAMES]);
    for (const [, name, unit] of rows) expect(name).toMatch(new RegExp(`-${unit}$`));
  });
});

describe('man/fanatic.8', () => {
  it('names every runtime, and every variable that one looks at', () => {
    const page = read('man/fanatic.8');
    for (const { name } of RUNTIMES) expect(page).toContain(`.Cm ${name}\n`);
    const sources = execFileSync('grep', ['-rhoE', 'process\\.env\\.UFAN_\\w+', pathOf('src/runtimes')]);
    const variables = sources
      .toString()
      .trim()
      .split('\n')
      .map((found) => found.split('.')[2]);
    expect(variables.length).toBeGreaterThan(4);
    for (const variable of variables) expect(page).toContain(`.It Ev ${variable}\n`);
  });
});

describe('docs/troubleshooting.md', () => {
  const [onHost = '', betweenHosts = ''] = read('docs/troubleshooting.md').split(/^## Between two hosts$/m);
  const checksIn = (text: string): string[] => {
    const cells = [...text.matchAll(/^\|[^|]*\|([^|]*)\|/gm)].map((row) => row[1]!);
    return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
  };

  it('explains exactly the checks of doctor', () => {
    expect(checksIn(onHost).sort()).toEqual(CHECKS.map(({ name }) => name).sort());
  });

  it('explains exactly the checks of probe, as does the manual', () => {
    expect(checksIn(betweenHosts).sort()).toEqual([...PROBE_CHECKS].sort());
    const ofManual = itemsOf('man/fanctl.8', 'PROBE').map((item) => item.split(' ')[1]);
    expect(ofManual).toEqual([...PROBE_CHECKS]);
  });
});

describe('man/fanctl.8', () => {
  it('has exactly the flags of the code', () => {
    const names = itemsOf('man/fanctl.8', 'FLAGS').map((item) => item.split(' ')[1]);
    expect(names).toEqual(FAN_FLAGS.map(({ name }) => name));
  });

  it('has exactly the commands of the code', () => {
    const names = itemsOf('man/fanctl.8', 'COMMANDS').map((item) => item.split(' ')[1]);
    expect(names).toEqual(COMMANDS.map(({ name }) => name));
  });

  it('has exactly the options of the code', () => {
    const ofCommands = COMMANDS.flatMap(({ options }) => options.flatMap(({ names }) => names));
    const ofGrammar = ['-o', '--overlay', '-u', '--underlay'];
    const ofProgram = ['-h', '--help', '--version'];
    const documented = itemsOf('man/fanctl.8', 'OPTIONS').flatMap(optionsOf);
    expect(documented.sort()).toEqual([...new Set([...ofCommands, ...ofGrammar, ...ofProgram])].sort());
  });
});

describe('environment', () => {
  const VARIABLES = [
    ...['UFAN_RUN_DIR', 'UFAN_STATE_DIR', 'UFAN_CONFIG', 'UFAN_GROUP', 'UFAN_LOG_LEVEL'],
    ...['UFAN_METRICS', 'UFAN_IO_URING', 'UFAN_RESPONDER', 'UFAN_WORKERS'],
  ];
  it('is documented for fanctl', () => {
    expect(itemsOf('man/fanctl.8', 'ENVIRONMENT')).toEqual(VARIABLES.map((name) => `Ev ${name}`));
  });
  it('is documented for fand', () => {
    const ofFand = VARIABLES.filter((name) => name !== 'UFAN_CONFIG');
    expect(itemsOf('man/fand.8', 'ENVIRONMENT')).toEqual(ofFand.map((name) => `Ev ${name}`));
  });
});

describe('man', () => {
  it.each(['man/fanatic.8', 'man/fanctl.8', 'man/fand.8'])('formats %s without a warning', (page) => {
    const command = `LC_ALL=C.UTF-8 man --warnings -l ${pathOf(page)} 2>&1 >/dev/null`;
    expect(execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' })).toBe('');
  });
});

describe('help', () => {
  it.each(COMMANDS)('of $name has a summary of a line and examples', ({ name, summary, examples = [] }) => {
    expect(summary).toMatch(/^[^.\n]{10,60}$/);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(example).toMatch(new RegExp(`^${name}\\b|--help$`));
  });
});
