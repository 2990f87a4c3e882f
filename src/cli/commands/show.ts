/** `fanctl show`: the fans that fand serves, or those that a dead one left. Starts nothing. */

import { existsSync } from 'node:fs';
import { parseAddress } from '../../addr/ipv4-address.js';
import { type Prefix, prefixOf, samePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { isTerminal } from '../../base/standard-streams.js';
import { type FanWords, parseFanWords } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { FandClient } from '../../control/client.js';
import { exchangeAtOnce } from '../../control/exchange-at-once.js';
import { readFans } from '../../control/known-fans.js';
import type { FanView } from '../../control/protocol.js';
import { fitText } from '../output/fit.js';
import { fanToJson, formatFans, formatJson, print } from '../output/output.js';
import type { Command, Invocation } from './command.js';

export const show: Command = {
  name: 'show',
  synopsis: ['show [-v | --json] [OVERLAY] [UNDERLAY]'],
  summary: 'list the fans that are up',
  description: `A fan whose fand died is marked dead: run its up again. With an overlay, an underlay or
both, only the fans that have them.`,
  operands: [
    ['OVERLAY', 'only fans with it: 250.0.0.0/8, or 250'],
    ['UNDERLAY', 'only fans with it: an address, a device or a bridge, 172.30.0.28/16 or eth0'],
  ],
  completes: 'FANS-UP',
  examples: ['show', 'show 250.0.0.0/8', 'show --json'],
  options: [
    { names: ['--json'], summary: 'a list of objects instead of the table' },
    { names: ['-v', '--verbose'], summary: 'slice, gateway, MTU and io too, as on a terminal' },
    { names: ['-q', '--quiet'], summary: 'the names of the bridges only, one a line' },
  ],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  const filter = parseFanWords(words);
  if (filter.underlay?.kind === 'default') {
    throw new FanError('usage', 'show knows fans by address or device: name one instead of "default"');
  }
  const all = await readFans(paths, new FandClient(paths, exchangeAtOnce));
  const fans = all.filter((fan) => matches(fan, filter));
  if (fans.length === 0) refuseUnknown(filter, all);
  if (given.has('-q')) {
    for (const { bridge } of fans) print(printable(bridge));
    return;
  }
  const isLong = given.has('-v') || isTerminal();
  print(given.has('--json') ? formatJson(fans.map(fanToJson)) : fitText(formatFans(fans, isLong)));
}

/** Throws FanError usage for a name that neither this host nor any of its fans has: none is ever on it. */
function refuseUnknown({ underlay }: FanWords, fans: readonly FanView[]): void {
  if (underlay?.kind !== 'device') return;
  const { device } = underlay;
  if (existsSync(`/sys/class/net/${device}`) || fans.some((fan) => fan.device === device)) return;
  throw new FanError(
    'usage',
    `no fan and no device is called "${device}": name a bridge, an overlay or an underlay that fanctl show lists`,
  );
}

function matches(fan: FanView, { overlay, underlay }: FanWords): boolean {
  // A network that stands alone may be of either.
  if (overlay && !underlay && isIn(fan, overlay)) return true;
  if (overlay && fan.overlay !== formatOverlay(overlay)) return false;
  if (!underlay) return true;
  if (underlay.kind === 'device' && underlay.device === fan.bridge) return true;
  const width = fan.underlay.slice(fan.underlay.indexOf('/'));
  if (underlay.kind === 'network') return isIn(fan, { base: underlay.address, length: underlay.length });
  return [fan.underlay, `${fan.device}${width}`].includes(formatUnderlay(underlay));
}

/** Whether `network` is the fan's underlay. */
function isIn(fan: FanView, network: Prefix): boolean {
  const [address = '', length] = fan.underlay.split('/');
  return samePrefix(prefixOf(parseAddress(address), Number(length)), network);
}
