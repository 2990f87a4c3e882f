/** `fanctl show`: the fans that fand serves, or those that a dead one left. Starts nothing. */

import { FanError } from '../../base/error.js';
import { type FanWords, parseFanWords } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { FandClient, NotRunning } from '../../control/client.js';
import type { FanView, RunPaths } from '../../control/protocol.js';
import { readStateFans } from '../../control/state-file.js';
import { fanToJson, formatFans, formatJson, print } from '../output/output.js';
import type { Command, Invocation } from './command.js';

export const show: Command = {
  name: 'show',
  synopsis: ['show [--json] [OVERLAY] [UNDERLAY]'],
  summary: 'list the fans that are up',
  description: `A fan whose fand died is marked dead: run its up again. With an overlay, an underlay or
both, only the fans that have them.`,
  operands: [
    ['OVERLAY', 'only fans with it: 250.0.0.0/8, or 250'],
    ['UNDERLAY', 'only fans with it: an address or a device, 172.30.0.28/16 or eth0'],
  ],
  completes: 'FANS-UP',
  examples: ['show', 'show 250.0.0.0/8', 'show --json'],
  options: [{ names: ['--json'], summary: 'a list of objects instead of the table' }],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  const filter = parseFanWords(words);
  if (filter.underlay?.kind === 'default') {
    throw new FanError('usage', 'show knows fans by address or device: name one instead of "default"');
  }
  const fans = (await readFans(paths)).filter((fan) => matches(fan, filter));
  print(given.has('--json') ? formatJson(fans.map(fanToJson)) : formatFans(fans));
}

async function readFans(paths: RunPaths): Promise<FanView[]> {
  try {
    return await new FandClient(paths).fans();
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return (await readStateFans(paths)).map(({ view }) => ({ ...view, state: 'dead' }));
  }
}

function matches(fan: FanView, { overlay, underlay }: FanWords): boolean {
  if (overlay && fan.overlay !== formatOverlay(overlay)) return false;
  if (!underlay) return true;
  const width = fan.underlay.slice(fan.underlay.indexOf('/'));
  return [fan.underlay, `${fan.device}${width}`].includes(formatUnderlay(underlay));
}
