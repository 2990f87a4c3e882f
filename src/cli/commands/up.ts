/** `fanctl up`: asks fand, started where none runs, for a fan or those of /etc/network/fan; prints their bridges. */

import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { type FanLine, parseFanLine } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { MOST_WORKERS, parseWorkers } from '../../config/worker-count.js';
import type { RunPaths, UpReply, UpRequest } from '../../control/protocol.js';
import { rehearseUp } from '../../control/rehearse.js';
import { requestUp } from '../../control/request-up.js';
import { formatJson, print, printNote } from '../output/output.js';
import { printRehearsal, rehearsalToJson } from '../output/rehearsal-text.js';
import { ALL, type Command, DRY_RUN, type Invocation, JSON_OPTION, QUIET, requireRoot } from './command.js';
import { LineFailures, openConfig } from './config-lines.js';

export const up: Command = {
  name: 'up',
  synopsis: ['up OVERLAY UNDERLAY [FLAGS]', 'up -o OVERLAY -u UNDERLAY [FLAGS]', 'up -a'],
  summary: 'bring a fan up and print its bridge',
  description: `The words may stand in any order, flags with or without dashes in front. fand is started
in the background where none runs. A fan whose fand died is restored by the same line,
with the flags that it had. One that is up already is left alone, which a note says; with
other flags that is an error.`,
  operands: [
    ['OVERLAY', '250.0.0.0/8, or 250 for it'],
    [
      'UNDERLAY',
      "172.30.0.28/16, 172.30.0.0/16 for this host's address in it, eth0/16, or default/16 for the device of the default route; without a width, /16",
    ],
  ],
  options: [
    { ...ALL, summary: 'every line of /etc/network/fan that is not off' },
    { names: ['--strict'], summary: 'a fan that is up already is an error' },
    {
      names: ['--workers'],
      value: 'N',
      summary: `forwarding threads of the fand that this starts, 1 to ${MOST_WORKERS}`,
    },
    DRY_RUN,
    JSON_OPTION,
    QUIET,
  ],
  takesFlags: true,
  completes: 'FAN-WORDS',
  examples: [
    'up 250.0.0.0/8 eth0/16 dhcp',
    'up -o 250.0.0.0/8 -u 172.30.0.0/16 --dhcp --host-reserve=10',
    'up 250 default --io packet --dry-run',
    'up -a',
  ],
  run,
};

/** How one fan is asked for, and what is printed of it. */
interface Manner {
  readonly ifUp: NonNullable<UpRequest['ifUp']>;
  readonly workers: number | undefined;
  readonly isDry: boolean;
  readonly isJson: boolean;
}

async function run({ words, given, paths }: Invocation): Promise<void> {
  requireRoot('up');
  const manner: Manner = {
    ifUp: given.has('--strict') ? 'strict' : 'same',
    workers: given.has('--workers') ? parseWorkers('--workers', given.get('--workers')!) : undefined,
    isDry: given.has('--dry-run'),
    isJson: given.has('--json'),
  };
  if (given.has('-a')) {
    if (words.length > 0) {
      throw new FanError('usage', 'up -a takes the fans of /etc/network/fan: name none beside it');
    }
    // Those that are up are left alone, whatever their line says.
    return upAll(paths, given.has('--strict') ? manner : { ...manner, ifUp: 'keep' });
  }
  const fan = parseFanLine(words);
  if (fan.options.off)
    throw new FanError('usage', 'off is for a line of /etc/network/fan: leave it out to bring the fan up');
  const done = await bringUp(paths, fan, manner);
  if (manner.isJson) print(formatJson(done));
}

/** Prints what is said of it, but for JSON, which it returns. */
async function bringUp(paths: RunPaths, { overlay, underlay, options }: FanLine, manner: Manner) {
  const { ifUp, workers, isDry, isJson } = manner;
  const request = { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay), options, ifUp };
  if (isDry) {
    const rehearsal = await rehearseUp(paths, request, workers);
    if (!isJson) printRehearsal(rehearsal);
    return rehearsalToJson(rehearsal);
  }
  const { bridge, outcome, notes }: UpReply = await requestUp(paths, request, workers);
  for (const note of notes) printNote(note);
  if (!isJson) print(printable(bridge));
  return { bridge, outcome, notes };
}

/** One after the other, in the file's order; what fails is told, and stops no other. */
async function upAll(paths: RunPaths, manner: Manner): Promise<void> {
  const config = await openConfig();
  if (!config.exists) printNote(`there is no ${config.path}: nothing to bring up`);
  const failures = new LineFailures();
  failures.tellFaults(config);
  const all: object[] = [];
  for (const { line, fan } of config.entries) {
    if (fan.options.off) continue;
    const options = { ...fan.options, auto: true };
    const done = await failures.attempt(config.placeOf(line), () =>
      bringUp(paths, { ...fan, options }, manner),
    );
    if (done) all.push({ line, ...done });
  }
  if (manner.isJson) print(formatJson(all));
  failures.throwIfAny();
}
