/**
 * The end of a lab, whatever the end of its owner: called for, an exception, SIGINT, SIGTERM, SIGHUP, or (swept by
 * the next lab) SIGKILL. A lab's name is enough to find all that belongs to it.
 *
 * All of it is synchronous: that alone works in an exit handler.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entries, familyIn, inodeOf, NAMESPACES, type ProcessEntry, processes } from './processes.js';

/** Each lab has one directory here. */
export const LABS_DIR = tmpdir();

const LAB_NAME = /^ufan-(\d+)-[0-9A-Za-z]{6}(?=-|$)/;
/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 5000;

const held = new Set<string>();
let watching = false;

/** From now on the lab is removed when this process ends; the function returned calls that off. */
export function holdLab(name: string): () => void {
  held.add(name);
  if (!watching) watchForTheEnd();
  return () => held.delete(name);
}

function watchForTheEnd(): void {
  watching = true;
  process.on('exit', removeHeld);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      removeHeld();
      // Ends by the signal itself, so that a shell or npm sees what happened.
      process.kill(process.pid, signal);
    });
  }
}

function removeHeld(): void {
  for (const name of held) removeLab(name);
}

/** Names of all labs that have a directory or a namespace, with the owner's pid (0 = kept). */
export function listLabs(): Map<string, number> {
  const labs = new Map<string, number>();
  for (const entry of [...entries(LABS_DIR), ...entries(NAMESPACES)]) {
    const match = LAB_NAME.exec(entry);
    if (match) labs.set(match[0], Number(match[1]));
  }
  return labs;
}

/** Removes what owners left behind that could not clean up; what another process removes already is left to it. */
export function sweepDeadLabs(): void {
  for (const [name, owner] of listLabs()) {
    if (owner !== 0 && !isAlive(owner) && claim(name)) removeLab(name);
  }
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** Whether it is this process that removes the lab: of several that sweep at once one puts its pid there, as a link. */
function claim(name: string): boolean {
  const sweeper = join(LABS_DIR, name, 'sweeper');
  try {
    symlinkSync(`${process.pid}`, sweeper);
    return true;
  } catch (error) {
    // Without a directory only namespaces can be left.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
  }
  try {
    if (isAlive(Number(readlinkSync(sweeper)))) return false;
  } catch {
    return false; // All of it has gone since.
  }
  rmSync(sweeper, { force: true });
  return claim(name);
}

/**
 * Processes ended, namespaces and directory deleted; a fan has nothing elsewhere. Does what can be done, then throws the
 * first trouble.
 */
export function removeLab(name: string): void {
  const troubles: unknown[] = [];
  const attempt = (action: () => void) => {
    try {
      action();
    } catch (error) {
      troubles.push(error);
    }
  };
  held.delete(name);
  const namespaces = entries(NAMESPACES).filter((entry) => entry.startsWith(`${name}-`));
  attempt(() => endProcesses(namespaces));
  for (const namespace of namespaces) attempt(() => deleteNamespace(namespace));
  attempt(() => rmSync(join(LABS_DIR, name), { recursive: true, force: true }));
  if (troubles.length > 0) throw troubles[0];
}

/** One that has gone meanwhile is as good: where a lab has no directory any more, two may sweep what is left of it. */
function deleteNamespace(name: string): void {
  try {
    execFileSync('ip', ['netns', 'delete', name], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    if (existsSync(join(NAMESPACES, name))) throw error;
  }
}

function endProcesses(namespaces: readonly string[]): void {
  const inodes = new Set(namespaces.map(inodeOf));
  const deadline = Date.now() + GRACE_MS;
  let family: ProcessEntry[] = [];
  for (;;) {
    const known = new Set(family.map(keyOf));
    const alive = new Set(processes().map(keyOf));
    // Some may still be on their way into the namespace, or be children that were started meanwhile.
    const late = familyIn(inodes).filter((one) => !known.has(keyOf(one)));
    family = [...family.filter((one) => alive.has(keyOf(one))), ...late];
    if (family.length === 0) return;
    if (Date.now() > deadline + GRACE_MS) {
      throw new Error(`processes ${family.map(({ pid }) => pid).join(', ')} don't end`);
    }
    for (const one of late) signal(one.pid, 'SIGTERM');
    if (Date.now() > deadline) for (const one of family) signal(one.pid, 'SIGKILL');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
}

function keyOf({ pid, started }: ProcessEntry): string {
  return `${pid} ${started}`;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
