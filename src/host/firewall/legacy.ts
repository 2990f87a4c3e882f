/**
 * The firewall step's part for rules in the old iptables (x_tables), which nft does not show. Only where this
 * network namespace has its filter table: asking the old iptables otherwise would load it.
 */
import { readFileSync } from 'node:fs';
import { FanError } from '../../base/error.js';
import { isRehearsal } from '../rehearsal.js';
import { isInstalled, run } from '../run.js';

/** A rule as iptables' own words, without the chain: ["-i", "fan-250-0-28", …, "-j", "ACCEPT"]. */
export type LegacyRule = readonly string[];

const COMMAND = 'iptables-legacy';
const WAIT = '-w';
const FILTER = 'filter';

/** Puts `rules` first in `chain` and in what Docker keeps for the user, where a packet could be dropped there. */
export async function insertLegacy(chain: 'FORWARD' | 'INPUT', rules: readonly LegacyRule[]): Promise<void> {
  const listing = await legacyListing();
  if (!/^-P \w+ DROP$/m.test(listing) && !/ -j (DROP|REJECT)\b/.test(listing)) return;
  const dockerUser = chain === 'FORWARD' && /^-N DOCKER-USER$/m.test(listing) ? ['DOCKER-USER'] : [];
  for (const target of [chain, ...dockerUser]) {
    for (const rule of rules) {
      if (!(await succeeds(['-C', target, ...rule]))) await run(COMMAND, [WAIT, '-I', target, '1', ...rule]);
    }
  }
}

/** Takes every copy of `rules` away; none, or no such chain, is as good. */
export async function removeLegacy(chain: 'FORWARD' | 'INPUT', rules: readonly LegacyRule[]): Promise<void> {
  if (!(await isInUse())) return;
  for (const target of chain === 'FORWARD' ? ['FORWARD', 'DOCKER-USER'] : ['INPUT']) {
    for (const rule of rules) {
      // Until the last copy is gone; in a rehearsal none ever is.
      while ((await succeeds(['-C', target, ...rule])) && (await succeeds(['-D', target, ...rule]))) {
        if (isRehearsal()) break;
      }
    }
  }
}

/** `iptables-legacy -S` of a table; empty where this network namespace does not have it. */
export async function legacyListing(table = FILTER): Promise<string> {
  return (await isInUse(table)) ? run(COMMAND, [WAIT, '-t', table, '-S']) : '';
}

/** Tables that the old iptables has in this network namespace; empty where the kernel has none of it. */
export async function legacyTables(): Promise<string[]> {
  try {
    return readFileSync('/proc/net/ip_tables_names', 'latin1')
      .split('\n')
      .filter((name) => name !== '');
  } catch {
    return [];
  }
}

async function isInUse(table = FILTER): Promise<boolean> {
  return (await legacyTables()).includes(table) && (await isInstalled(COMMAND));
}

async function succeeds(args: readonly string[]): Promise<boolean> {
  try {
    await run(COMMAND, [WAIT, ...args]);
    return true;
  } catch (error) {
    if (error instanceof FanError && error.code === 'step-failed') return false;
    throw error;
  }
}
