/** Which fan a command of fanatic is about: that of its words, or the one line of /etc/network/fan. */

import { parsePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { type FileEntry, formatEnds } from '../../config/fan-file.js';
import { type FanWords, parseFanWords } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { FandClient } from '../../control/client.js';
import { findFan } from '../../control/find-fan.js';
import type { RunPaths } from '../../control/protocol.js';
import { requestUp } from '../../control/request-up.js';
import { readStateFans } from '../../control/state-file.js';
import type { RuntimeFan } from '../../runtimes/runtime.js';
import type { OpenConfig } from '../commands/config-lines.js';
import { printNote } from '../output/output.js';

export interface EndsInText {
  readonly overlay: string;
  readonly underlay: string;
}

export function endsInText({ fan: { overlay, underlay } }: Pick<FileEntry, 'fan'>): EndsInText {
  return { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay) };
}

/**
 * The line that `words` mean: of these ends, or of the same fan under another name; without words, the one there is.
 * Undefined where none does. Throws FanError usage where several may be meant.
 */
export async function lineOf(
  config: OpenConfig,
  words: FanWords,
  paths: RunPaths,
): Promise<FileEntry | undefined> {
  const overlay = words.overlay && formatOverlay(words.overlay);
  const underlay = words.underlay && formatUnderlay(words.underlay);
  const lines = config.entries.filter((line) => {
    const ends = endsInText(line);
    return (overlay ?? ends.overlay) === ends.overlay && (underlay ?? ends.underlay) === ends.underlay;
  });
  if (lines.length > 1) {
    const names = lines.map(({ fan }) => formatEnds(fan)).join(', ');
    throw new FanError('usage', `${config.path} has several fans, ${names}: say which with -o and -u`);
  }
  if (lines.length === 1 || overlay === undefined || underlay === undefined) return lines[0];
  const fans = await readStateFans(paths);
  const meant = await findFan(fans, { overlay, underlay });
  if (!meant) return undefined;
  for (const line of config.entries) if ((await findFan(fans, endsInText(line))) === meant) return line;
  return undefined;
}

/** As lineOf; throws FanError not-configured where there is none, with the command that adds it. */
export async function requireLine(
  config: OpenConfig,
  words: readonly string[],
  paths: RunPaths,
): Promise<FileEntry> {
  const fan = parseFanWords(words);
  const line = await lineOf(config, fan, paths);
  if (line) return line;
  const overlay = fan.overlay ? formatOverlay(fan.overlay) : '250.0.0.0/8';
  const underlay = fan.underlay ? formatUnderlay(fan.underlay) : 'default/16';
  const what = words.length > 0 ? 'no line of it is this fan' : 'it has no fan';
  throw new FanError(
    'not-configured',
    `${config.path}: ${what}: fanatic enable-fan -o ${overlay} -u ${underlay} first`,
  );
}

/** The fan of a line, brought up where it is not. Throws as requestUp. */
export async function runningFan(line: FileEntry, paths: RunPaths): Promise<RuntimeFan> {
  const ends = endsInText(line);
  const options = { ...line.fan.options, off: false, auto: true };
  const { bridge, outcome, notes } = await requestUp(paths, { ...ends, options, ifUp: 'keep' });
  if (outcome !== 'kept') for (const note of [`${bridge} is up now`, ...notes]) printNote(note);
  const view = (await new FandClient(paths).fans()).find((fan) => fan.bridge === bridge);
  if (!view) throw new FanError('daemon', `${bridge} went down meanwhile: say it again`);
  const { dhcp, dhcpRange } = parseFanWords(view.flags.split(' ')).options;
  const { gateway, mtu } = view;
  const slice = parsePrefix(view.slice);
  return { ...ends, bridge, slice, gateway, mtu, hasDhcp: dhcp, ...(dhcpRange && { dhcpRange }) };
}
