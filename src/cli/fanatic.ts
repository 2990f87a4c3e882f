#!/usr/bin/env node
/**
 * fanatic, Ubuntu's guide to setting a host and its container engine up for a fan. Its commands are not in this
 * release; each says which command does the same by hand.
 */
import { FanError } from '../base/error.js';
import { print, runProgram } from './output/output.js';

const ENGINE = 'start the engine on the bridge that fanctl up prints, with the MTU of fanctl show --json';

/** What each command of fanatic is done by meanwhile. */
const INSTEAD: readonly (readonly [string, string])[] = [
  ['enable-fan', 'fanctl up OVERLAY UNDERLAY'],
  ['disable-fan', 'fanctl down OVERLAY UNDERLAY'],
  ['enable-docker', `${ENGINE} (dockerd --bridge=BRIDGE --mtu=MTU)`],
  ['disable-docker', 'start dockerd without --bridge, then fanctl down OVERLAY UNDERLAY'],
  ['enable-lxd', `${ENGINE} (lxc.net.0.link, lxc.net.0.mtu)`],
  ['disable-lxd', 'take the bridge out of the profile, then fanctl down OVERLAY UNDERLAY'],
  ['test', 'fanctl stats, and a ping between containers of two hosts'],
  ['show', 'fanctl show'],
  ['configure', 'fanctl up OVERLAY UNDERLAY'],
  ['deconfigure', 'fanctl down -e'],
];

async function main(words: readonly string[]): Promise<void> {
  if (words.some((word) => word === '--help' || word === '-h')) return print(formatHelp());
  const [name] = words;
  if (name === undefined) {
    throw new FanError('unsupported', 'the wizard is not in this release: use fanctl up OVERLAY UNDERLAY');
  }
  const instead = INSTEAD.find(([known]) => known === name)?.[1];
  if (instead === undefined) throw new FanError('usage', `unknown command "${name}": see fanatic --help`);
  throw new FanError('unsupported', `${name} is not in this release: use ${instead}`);
}

function formatHelp(): string {
  const rows = INSTEAD.map(([name, instead]) => `  ${name.padEnd(15)} ${instead}`);
  return ['fanatic: its commands are not in this release; what does the same:', '', ...rows].join('\n');
}

await runProgram('fanatic', () => main(process.argv.slice(2)));
