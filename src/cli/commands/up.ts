/** `fanctl up`: asks fand, started where none runs, for a fan; prints the name of its bridge. */

import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { parseFanLine } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { MOST_WORKERS, parseWorkers } from '../../config/worker-count.js';
import type { UpRequest } from '../../control/protocol.js';
import { requestUp } from '../../control/request-up.js';
import { print, printNote } from '../output/output.js';
import { type Command, type Invocation, refuseAuto, requireRoot } from './command.js';

export const up: Command = {
  name: 'up',
  synopsis: ['up OVERLAY UNDERLAY [FLAGS]', 'up -o OVERLAY -u UNDERLAY [FLAGS]'],
  summary: 'bring a fan up and print its bridge',
  description: `The words may stand in any order, flags with or without dashes in front. fand is started
in the background where none runs. A fan whose fand died is restored by the same line,
with the flags that it had.`,
  operands: [
    ['OVERLAY', '250.0.0.0/8, or 250 for it'],
    [
      'UNDERLAY',
      '172.30.0.28/16, eth0/16, or default/16 for the device of the default route; without a width, /16',
    ],
  ],
  options: [
    { names: ['--strict'], summary: 'a fan that is up already is an error' },
    {
      names: ['--workers'],
      value: 'N',
      summary: `forwarding threads of the fand that this starts, 1 to ${MOST_WORKERS}`,
    },
  ],
  takesFlags: true,
  completes: 'FAN-WORDS',
  examples: [
    'up 250.0.0.0/8 eth0/16 dhcp',
    'up -o 250.0.0.0/8 -u eth0/16 --dhcp --host-reserve=10',
    'up 250 default --io packet',
  ],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  requireRoot('up');
  refuseAuto('up', words);
  const workers = given.has('--workers') ? parseWorkers('--workers', given.get('--workers')!) : undefined;
  const { overlay, underlay, options } = parseFanLine(words);
  if (options.off)
    throw new FanError('usage', 'off is for a line of /etc/network/fan: leave it out to bring the fan up');
  const ifUp: UpRequest['ifUp'] = given.has('--strict') ? 'strict' : 'same';
  const request = { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay), options, ifUp };
  const reply = await requestUp(paths, request, workers);
  for (const note of reply.notes) printNote(note);
  print(printable(reply.bridge));
}
