/**
 * Processes by network namespace, from /proc: those that a lab has to end, and those that a measurement charges with
 * what a tunnel costs.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const NAMESPACES = '/run/netns';

export interface ProcessEntry {
  pid: number;
  parent: number;
  /** Ticks after boot: tells a process from a later one with the same pid. */
  started: string;
}

/** Inode of a named network namespace, by which /proc/PID/ns/net refers to it. */
export function inodeOf(namespace: string): number {
  return statSync(join(NAMESPACES, namespace)).ino;
}

/**
 * Processes in the namespaces and their descendants: what a container engine runs is in namespaces that are
 * not the lab's.
 */
export function familyIn(inodes: ReadonlySet<number>): ProcessEntry[] {
  const all = processes();
  const family = new Set(all.filter(({ pid }) => pid !== process.pid && inodes.has(namespaceInode(pid))));
  // A Set's iterator also visits what is added on the way.
  for (const { pid } of family) for (const child of all) if (child.parent === pid) family.add(child);
  return [...family];
}

/** All of the machine but zombies, which nobody can end. Fields as in proc(5), /proc/PID/stat. */
export function processes(): ProcessEntry[] {
  return entries('/proc')
    .filter((name) => Number(name) > 0)
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (fields[0] === 'Z') return [];
        return [{ pid: Number(name), parent: Number(fields[1]), started: fields[19] ?? '' }];
      } catch {
        return []; // It ended while we looked.
      }
    });
}

/** Names in a directory; none where it doesn't exist. */
export function entries(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

function namespaceInode(pid: number): number {
  try {
    return Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[1]);
  } catch {
    return 0;
  }
}
