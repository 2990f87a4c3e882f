#!/usr/bin/env node
/**
 * fanatic, Ubuntu's guide to setting a host and its container engine up for a fan. Its commands are not in this
 * release; each says which command does the same by hand.
 */
import { createParser, type Parsed, packageVersion, runParser } from '../base/command-line.js';
import { FanError } from '../base/error.js';
import { runProgram } from './output/output.js';

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

const FANATIC: Parsed = {
  name: 'fanatic',
  synopsis: ['COMMAND ...', '--version'],
  description: 'Its commands are not in this release; beside each stands what does the same.',
  options: [],
};

async function main(words: readonly string[]): Promise<void> {
  if (words.length === 0) {
    throw new FanError('unsupported', 'the wizard is not in this release: use fanctl up OVERLAY UNDERLAY');
  }
  const version = `fanatic ${packageVersion()}`;
  const program = createParser(FANATIC).version(version, '--version', 'print the version');
  for (const [name, instead] of INSTEAD) {
    const refuse = (): never => {
      throw new FanError('unsupported', `${name} is not in this release: use ${instead}`);
    };
    const command = createParser({
      name,
      synopsis: [name],
      description: `Instead: ${instead}.`,
      options: [],
    });
    program.addCommand(command.summary(instead).allowUnknownOption().allowExcessArguments().action(refuse));
  }
  await runParser(program.enablePositionalOptions(), words);
}

void runProgram('fanatic', () => main(process.argv.slice(2)));
