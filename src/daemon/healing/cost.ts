/**
 * What examinations cost: CPU time of fand's main thread, and of the programs that it started and that have ended. Not the
 * time that passes, which on a busy host is somebody else's.
 */
import { readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every architecture that Node runs on (time(7)). */
const TICKS_PER_S = 100;
/** Behind the command's closing parenthesis: cutime and cstime (proc(5)). */
const CHILDREN = [13, 14];

/** Since the process began, ms; undefined where it can't be read, as without a descriptor. */
export function readCost(): number | undefined {
  try {
    return cost();
  } catch {
    return undefined;
  }
}

function cost(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = CHILDREN.reduce((sum, at) => sum + Number(fields[at]), 0);
  const ownNs = Number.parseInt(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1'), 10);
  return (ticks * 1000) / TICKS_PER_S + ownNs / 1e6;
}
