/** `fanctl leases`: the addresses that containers have by DHCP. Starts nothing, and needs no fand. */
import { printable } from '../../base/printable.js';
import { readLeases } from '../../control/leases.js';
import { formatJson, print } from '../output/output.js';
import { type Command, type Invocation, QUIET, refuseWord } from './command.js';

export const leases: Command = {
  name: 'leases',
  synopsis: ['leases [--json]'],
  summary: 'list the addresses that DHCP has given away',
  description: `Of every fan with the flag dhcp, also of one whose fand died, as its DHCP server goes on.
Leases survive restarts and an up; a down without containers on the bridge ends them.`,
  options: [{ names: ['--json'], summary: 'a list of objects instead of the table' }, QUIET],
  examples: ['leases', 'leases --json'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('leases', words[0]);
  const all = await readLeases(paths);
  if (given.has('--json')) return print(formatJson(all));
  const row = (...[bridge, address, mac, name, expires]: [string, string, string, string, string]) =>
    `${bridge.padEnd(16)} ${address.padEnd(15)} ${mac.padEnd(17)} ${name.padEnd(20)} ${expires}`;
  print(row('Bridge', 'Address', 'MAC', 'Name', 'Expires'));
  for (const { bridge, address, hardwareAddress, name, expires } of all) {
    print(printable(row(bridge, address, hardwareAddress, name || '-', expires ?? 'never')));
  }
}
