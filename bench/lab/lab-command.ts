/**
 * `npm run lab`: a lab that stays up, and a shell in which h1, h2 … and c1, c2 … run a command in a host or
 * container. `-- --vxlan` only changes what is suggested: fans over VXLAN. Those are small scripts in the lab's bin/, so that any shell, or none, can use them.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorText } from '../../src/base/error.js';
import { DEFAULT_VXLAN_PORT } from '../../src/fan/encapsulation.js';
import { listLabs, removeLab } from './cleanup.js';
import { attachContainers, showFans } from './fan.js';
import { createLab, type Lab, openLab } from './lab.js';
import type { Namespace } from './namespace.js';
import { PROGRAMS } from './repository.js';
import { PROFILES } from './underlay.js';

const USAGE = `usage: npm run lab -- [--hosts N] [--containers M] [--mtu N] [--profile ${PROFILES.join('|')}]
                          [--vxlan]
       npm run lab -- down`;

async function main(args: string[]): Promise<void> {
  const text = { type: 'string' } as const;
  if (args.includes('--help') || args.includes('-h')) return console.log(USAGE);
  const { values, positionals } = parse(() =>
    parseArgs({
      args,
      allowPositionals: true,
      options: { hosts: text, containers: text, mtu: text, profile: text, vxlan: { type: 'boolean' } },
    }),
  );
  const [verb, dir] = positionals;
  if (verb === 'down') return down();
  if (verb === 'attach' && dir !== undefined) return attach(dir);
  if (verb !== undefined) throw new Error(`no such command: ${verb}\n${USAGE}`);
  const profile = PROFILES.find((name) => name === (values.profile ?? 'nic-like'));
  if (!profile) throw new Error(`no such profile: ${values.profile}\n${USAGE}`);
  const lab = await createLab({
    hosts: count(values.hosts, 2),
    containers: count(values.containers, 1),
    mtu: count(values.mtu, 1500),
    profile,
    keep: true,
  });
  writeScripts(lab);
  enter(lab, values.vxlan ?? false);
}

/** What Node's parser says of a wrong argument, and how it is written right. */
function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`${errorText(cause)}\n${USAGE}`, { cause });
  }
}

function count(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(`not a number from 1: ${text}\n${USAGE}`);
  return value;
}

/** Every kept lab goes, also one whose shell was closed long ago. */
function down(): void {
  const kept = [...listLabs()].filter(([, owner]) => owner === 0).map(([name]) => name);
  for (const name of kept) removeLab(name);
  console.log(kept.length > 0 ? `removed ${kept.join(', ')}` : 'no lab is up');
}

/** Plugs every host's containers into its first fan, where it has one. */
async function attach(dir: string): Promise<void> {
  for (const host of openLab(dir).hosts) {
    const [fan] = await showFans(host);
    if (fan) await attachContainers(host, fan);
    console.log(`host ${host.index}: ${fan ? `containers are on ${fan.bridge}` : 'no fan is up'}`);
  }
}

/** "c1" where each host has one container, else "c1-1", "c1-2" … */
function scriptNames(lab: Lab): [string, Namespace][] {
  return lab.hosts.flatMap((host) => {
    const plain = host.containers.length === 1;
    return [
      [`h${host.index}`, host] as [string, Namespace],
      ...host.containers.map((container): [string, Namespace] => {
        return [plain ? `c${host.index}` : `c${host.index}-${container.index}`, container];
      }),
    ];
  });
}

function writeScripts(lab: Lab): void {
  const bin = join(lab.dir, 'bin');
  mkdirSync(bin);
  const script = (name: string, body: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  for (const [name, where] of scriptNames(lab)) {
    const env = Object.entries({ ...where.env, PATH: `${bin}:$PATH` }).map(
      ([key, value]) => `${key}="${value}"`,
    );
    script(name, `exec env ${env.join(' ')} ip netns exec ${where.name} "$@"`);
  }
  for (const [program, file] of Object.entries(PROGRAMS)) script(program, hostOnly(lab, program, file));
  script('attach', `exec ${process.execPath} ${process.argv[1]} attach ${lab.dir}`);
}

/** A program of ufan for the hosts of this lab: in the lab's shell, which is on the machine, it would change the machine. */
function hostOnly(lab: Lab, program: string, file: string): string {
  const refusal = `${program}: this shell is on the machine itself, not on a host of the lab: say h1 ${program}`;
  return [
    `case $UFAN_RUN_DIR in "${lab.dir}"/*) exec ${process.execPath} ${file} "$@" ;; esac`,
    `echo "${refusal}\${*:+ $*}" >&2`,
    'exit 1',
  ].join('\n');
}

function commandsToTry(lab: Lab, isVxlan: boolean, prefix: string): string {
  const names = scriptNames(lab).map(([name]) => name);
  const second = lab.hosts[1];
  const container = names.find((name) => name.startsWith('c1')) ?? 'c1';
  const peer = second ? `250.${second.address.split('.').slice(2).join('.')}.2` : '250.0.28.1';
  const lines = [
    ...lab.hosts.map((host) => `h${host.index} fanctl up 250.0.0.0/8 eth0/16${isVxlan ? ' vxlan' : ''}`),
    'attach                          # plugs the containers into the bridges',
    'h1 fanctl show',
    `${container} ping -c 3 ${peer}`,
    isVxlan
      ? `h1 tcpdump -T vxlan -ni eth0 udp port ${DEFAULT_VXLAN_PORT}  # meanwhile`
      : 'h1 tcpdump -ni eth0 proto 4     # meanwhile',
    'h1 fanctl stats',
    `${container} bash                         # a shell inside`,
  ];
  return [
    `lab ${lab.name}: ${lab.hosts.map((host) => `h${host.index} ${host.underlay}`).join(', ')}`,
    `(${lab.profile}, MTU ${lab.mtu}). Run a command in one of them by its name: ${names.join(', ')}`,
    '',
    ...lines.map((line) => `  ${prefix}${line}`),
    '',
    'npm run lab -- down             # removes it',
  ].join('\n');
}

function enter(lab: Lab, isVxlan: boolean): void {
  const bin = join(lab.dir, 'bin');
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  console.log(commandsToTry(lab, isVxlan, terminal ? '' : `${bin}/`));
  if (!terminal) return;
  const shell = process.env.SHELL ?? '/bin/sh';
  const rc = join(lab.dir, 'bashrc');
  const prompt = `(${lab.name}) \\w \\$ `;
  writeFileSync(rc, `[ -r ~/.bashrc ] && . ~/.bashrc\nPS1='${prompt}'\n`);
  const args = basename(shell) === 'bash' ? ['--rcfile', rc, '-i'] : ['-i'];
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, PS1: prompt };
  spawnSync(shell, args, { stdio: 'inherit', env });
  console.log(`${lab.name} is still up, with its commands in ${bin}; npm run lab -- down removes it`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`lab: ${errorText(error)}`);
  process.exitCode = 1;
}
