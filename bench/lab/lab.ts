/**
 * The lab: N hosts on one underlay and M containers in each, all of them network namespaces. Demo, lab tests and
 * benchmarks stand on it.
 *
 *   const lab = await createLab({ hosts: 2, containers: 1 });
 *   try { await lab.host(1).fanctl(['up', '250.0.0.0/8', 'eth0/16']); … } finally { lab.remove(); }
 *
 * A lab's name is its directory's: ufan-<pid>-<random>, where pid is the owner that removes it, or 0 for one
 * that `npm run lab` keeps. Namespaces are <lab>-h1, <lab>-c1-1 (host 1, container 1) and <lab>-wire.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { holdLab, LABS_DIR, removeLab, sweepDeadLabs } from './cleanup.js';
import { run } from './command.js';
import { Host, type HostDescription } from './host.js';
import { Namespace } from './namespace.js';
import { buildContainers, buildUnderlay, type Profile } from './underlay.js';

export interface LabOptions {
  hosts?: number;
  /** In each host. */
  containers?: number;
  /** Underlay address and width of each host; those not given go on from 172.30.0.28/16, .27, .29, .30 … */
  underlays?: readonly string[];
  /** Of the underlay. */
  mtu?: number;
  profile?: Profile;
  /** True: outlives this process, until removeLab. */
  keep?: boolean;
}

export interface LabDescription {
  mtu: number;
  profile: Profile;
  hosts: readonly HostDescription[];
}

export class Lab {
  readonly name: string;
  readonly dir: string;
  readonly mtu: number;
  readonly profile: Profile;
  readonly hosts: readonly Host[];
  /** The switch: its bridge "underlay" has a port h1, h2 … for each host. */
  readonly wire: Namespace;

  constructor(dir: string, description: LabDescription) {
    this.dir = dir;
    this.name = basename(dir);
    this.mtu = description.mtu;
    this.profile = description.profile;
    this.hosts = description.hosts.map((host) => new Host(host));
    this.wire = new Namespace(`${this.name}-wire`);
  }

  /** The `index`th host, from 1. */
  host(index: number): Host {
    const found = this.hosts[index - 1];
    if (!found) throw new RangeError(`the lab has no host ${index}`);
    return found;
  }

  /** Ends its processes, deletes its namespaces and directory. Blocks meanwhile. */
  remove(): void {
    removeLab(this.name);
  }
}

/** Builds a lab; one that can't be finished is removed again. Labs whose owner died are swept first. */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const { mtu = 1500, profile = 'nic-like', keep = false } = options;
  sweepDeadLabs();
  const dir = mkdtempSync(join(LABS_DIR, `ufan-${keep ? 0 : process.pid}-`));
  chmodSync(dir, 0o755); // dnsmasq, which drops root, finds its files in a host's directory.
  const description = { mtu, profile, hosts: describeHosts(dir, options) };
  const lab = new Lab(dir, description);
  const release = holdLab(lab.name);
  try {
    for (const host of lab.hosts) mkdirSync(host.dir);
    writeFileSync(join(dir, 'lab.json'), JSON.stringify(description));
    await build(lab);
  } catch (error) {
    lab.remove();
    throw error;
  }
  if (keep) release();
  return lab;
}

/** A lab that another process built and kept. */
export function openLab(dir: string): Lab {
  return new Lab(dir, JSON.parse(readFileSync(join(dir, 'lab.json'), 'utf8')) as LabDescription);
}

function describeHosts(dir: string, options: LabOptions): HostDescription[] {
  const { hosts = 2, containers = 1, underlays = [] } = options;
  const name = basename(dir);
  return Array.from({ length: hosts }, (_, i) => ({
    index: i + 1,
    namespace: `${name}-h${i + 1}`,
    underlay: underlays[i] ?? `172.30.0.${i < 2 ? 28 - i : 27 + i}/16`,
    dir: join(dir, `h${i + 1}`),
    containers: Array.from({ length: containers }, (_, j) => `${name}-c${i + 1}-${j + 1}`),
  }));
}

async function build(lab: Lab): Promise<void> {
  const namespaces = [lab.wire, ...lab.hosts, ...lab.hosts.flatMap((host) => host.containers)];
  await run(['ip', '-batch', '-'], { input: namespaces.map(({ name }) => `netns add ${name}\n`).join('') });
  await buildUnderlay(lab.wire, lab.hosts, lab.mtu, lab.profile);
  await Promise.all(lab.hosts.map(buildContainers));
}
