/** `fanctl down`: asks fand to undo a fan, or several; returns when nothing of it is left. */

import { FanError } from '../../base/error.js';
import { parseFanLine } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { findFan } from '../../control/find-fan.js';
import type { DownReply, DownRequest, RunPaths } from '../../control/protocol.js';
import { rehearseDown } from '../../control/rehearse.js';
import { requestDown } from '../../control/request-down.js';
import { readStateFans } from '../../control/state-file.js';
import { formatJson, print, printNote } from '../output/output.js';
import { printRehearsal, rehearsalToJson } from '../output/rehearsal-text.js';
import { ALL, type Command, DRY_RUN, type Invocation, JSON_OPTION, QUIET, requireRoot } from './command.js';
import { LineFailures, openConfig } from './config-lines.js';

export const down: Command = {
  name: 'down',
  synopsis: ['down OVERLAY UNDERLAY', 'down -o OVERLAY -u UNDERLAY', 'down -a', 'down -e'],
  summary: 'take a fan down',
  description: `OVERLAY and UNDERLAY are those that up was told, whatever the host's address is by now.
Flags are taken and ignored, so that the line of an up can be pasted.`,
  completes: 'FANS-UP',
  examples: ['down 250.0.0.0/8 eth0/16', 'down -e', 'down -a --force'],
  options: [
    { names: ['-e', '--every'], summary: 'every fan; none is no error' },
    {
      ...ALL,
      summary: 'those that up -a brought up, and those of a line of /etc/network/fan that is not off',
    },
    { names: ['--force'], summary: 'also with containers on the bridge, which the next up plugs in again' },
    DRY_RUN,
    JSON_OPTION,
    QUIET,
  ],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  requireRoot('down');
  const isJson = given.has('--json');
  const force = given.has('--force');
  if (given.has('-a')) {
    if (words.length > 0 || given.has('-e')) {
      throw new FanError('usage', 'down -a takes the fans of /etc/network/fan: name none beside it');
    }
    return downAll(paths, force, given.has('--dry-run'), isJson);
  }
  const request = { ...readRequest(words, given.has('-e')), force };
  if (given.has('--dry-run')) return rehearse(paths, request, isJson);
  const reply = await requestDown(paths, request);
  if (!reply && !request.every) {
    throw new FanError('not-configured', `${request.overlay} on ${request.underlay} is not configured`);
  }
  tell(reply ?? { bridges: [], notes: [], last: false }, isJson);
}

function readRequest(words: readonly string[], every: boolean): DownRequest {
  if (every) {
    if (words.length > 0) throw new FanError('usage', 'down -e takes every fan: name none beside it');
    return { every: true };
  }
  const { overlay, underlay } = parseFanLine(words);
  return { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay) };
}

function tell({ bridges, notes }: Omit<DownReply, 'last'>, isJson: boolean): void {
  for (const note of notes) printNote(note);
  if (isJson) print(formatJson({ bridges, notes }));
}

async function rehearse(paths: RunPaths, request: DownRequest, isJson: boolean): Promise<void> {
  const rehearsal = await rehearseDown(paths, request);
  if (isJson) print(formatJson(rehearsalToJson(rehearsal)));
  else printRehearsal(rehearsal);
}

/** One after the other; what can't be taken down is told, and stops no other. */
async function downAll(paths: RunPaths, force: boolean, isDry: boolean, isJson: boolean): Promise<void> {
  const failures = new LineFailures();
  const bridges: string[] = [];
  const notes: string[] = [];
  for (const { place, overlay, underlay } of await autoFans(paths)) {
    await failures.attempt(place, async () => {
      const request = { overlay, underlay, force };
      if (isDry) return rehearse(paths, request, isJson);
      const reply = await requestDown(paths, request);
      bridges.push(...(reply?.bridges ?? []));
      notes.push(...(reply?.notes ?? []));
    });
  }
  if (!isDry) tell({ bridges, notes }, isJson);
  failures.throwIfAny();
}

interface AutoFan {
  /** What an error about it begins with. */
  readonly place: string;
  readonly overlay: string;
  readonly underlay: string;
}

/** The fans of the lines, as far as they are up, then others that -a brought up: their lines were changed since. */
async function autoFans(paths: RunPaths): Promise<AutoFan[]> {
  const config = await openConfig();
  // What can't be read was never brought up.
  for (const { line, column, message } of config.faults) {
    printNote(`${config.placeOf(line)}:${column}: ${message}`);
  }
  const fans = await readStateFans(paths);
  const found = new Map<string, AutoFan>();
  for (const { line, fan } of config.entries.filter(({ fan: { options } }) => !options.off)) {
    const ends = { overlay: formatOverlay(fan.overlay), underlay: formatUnderlay(fan.underlay) };
    const known = await findFan(fans, ends);
    if (known) found.set(known.view.bridge, { place: config.placeOf(line), ...endsOf(known.view) });
  }
  for (const { view, request } of fans) {
    if (!request.options.auto || found.has(view.bridge)) continue;
    found.set(view.bridge, { place: view.bridge, ...endsOf(view) });
  }
  return [...found.values()];
}

function endsOf({ overlay, underlay }: { overlay: string; underlay: string }) {
  return { overlay, underlay };
}
