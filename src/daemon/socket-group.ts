/**
 * Who may use the control socket beside root: the members of a group, where the host has it. They can do whatever fanctl
 * does, so nobody makes the group but the administrator.
 */
import { existsSync, readFileSync } from 'node:fs';
import { FanError } from '../base/error.js';
import { native } from '../io/native.js';

const GROUPS = '/etc/group';
const ROOT_ONLY = 0o177;
const AND_GROUP = 0o117;

/** The number of the group of that name, from the text of /etc/group; undefined where there is none. */
export function groupNumber(groups: string, name: string): number | undefined {
  const fields = groups.split('\n').map((line) => line.split(':'));
  const number = fields.find(([known]) => known === name)?.[2] ?? '';
  return /^\d+$/.test(number) ? Number(number) : undefined;
}

/**
 * Has `bind` make a socket that is root's, and the group's where there is one. Made so from the first moment on, and
 * without the privilege to give files away. Throws FanError daemon where the group can't be taken.
 */
export function bindForGroup(name: string, bind: () => void): void {
  const group = groupNumber(existsSync(GROUPS) ? readFileSync(GROUPS, 'utf8') : '', name);
  const umask = process.umask(group === undefined ? ROOT_ONLY : AND_GROUP);
  let own: number | undefined;
  try {
    if (group !== undefined) own = native.fileGroupSet(group);
    bind();
  } catch (cause) {
    throw new FanError('daemon', `the control socket can't be of the group ${name}`, { cause });
  } finally {
    if (own !== undefined) native.fileGroupSet(own);
    process.umask(umask);
  }
}
