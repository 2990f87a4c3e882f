/** `fanatic enable-fan`: a line of /etc/network/fan, and its fan up. */
import { prefixOf } from '../../addr/prefix.js';
import { setFan } from '../../config/fan-file.js';
import { formatFlags } from '../../config/fan-flags.js';
import { type FanLine, parseFanLine, parseFanWords } from '../../config/fan-line.js';
import { DEFAULT_OPTIONS, type FanOptions } from '../../config/fan-options.js';
import { writeConfig } from '../../control/config-file.js';
import { readFans } from '../../control/known-fans.js';
import { noBpf, requireMachine } from '../../control/preflight.js';
import type { RunPaths } from '../../control/protocol.js';
import { requestDown } from '../../control/request-down.js';
import { requestUp } from '../../control/request-up.js';
import { isHalved } from '../../runtimes/slice-part.js';
import { type Command, type Invocation, QUIET, requireRoot } from '../commands/command.js';
import { openConfig } from '../commands/config-lines.js';
import { print, printNote } from '../output/output.js';
import { endsInText, lineOf } from './fan-of.js';

export const enableFan: Command = {
  name: 'enable-fan',
  synopsis: [
    'enable-fan -o OVERLAY -u UNDERLAY [FLAGS]',
    'enable-fan OVERLAY UNDERLAY [FLAGS]',
    'enable-fan',
  ],
  summary: 'write the line of a fan to /etc/network/fan and bring it up',
  description: `Without flags a new line gets dhcp, for the lower half of the slice: the upper one is for
Docker, podman and CNI, which give addresses themselves. A line that is there keeps its
flags. Where both are so already, nothing is done. Without words, the one line there is.`,
  options: [QUIET],
  takesFlags: true,
  completes: 'FAN-WORDS',
  examples: ['enable-fan -o 250.0.0.0/8 -u 172.30.0.0/16', 'enable-fan 250 eth0/16 dhcp host-reserve 10'],
  run: async ({ words, paths }: Invocation) => {
    requireRoot('enable-fan');
    print(await enableOne(words, paths));
  },
};

/** Returns the bridge. Where one of the two can't be done, neither is. */
export async function enableOne(words: readonly string[], paths: RunPaths): Promise<string> {
  const config = await openConfig();
  const line = await lineOf(config, parseFanWords(words), paths);
  const asked = line && words.length === 0 ? line.fan : parseFanLine(words);
  const hasFlags = words.length > 0 && formatFlags(asked.options) !== formatFlags(DEFAULT_OPTIONS);
  const ends = line?.fan ?? asked;
  const options = hasFlags ? asked.options : line ? { ...line.fan.options, off: false } : usualOptions(asked);
  const fan: FanLine = { overlay: ends.overlay, underlay: ends.underlay, options };
  const text = setFan(config.text, fan);
  const names = endsInText({ fan });
  const warnings = await requireMachine(options);
  const request = { ...names, options: { ...options, auto: true } };
  const { bridge, outcome, notes } = await requestUp(paths, { ...request, ifUp: hasFlags ? 'same' : 'keep' });
  if (outcome !== 'kept') {
    const refused = warnings.length > 0 ? [] : await refusedBpf(bridge, paths);
    for (const note of [...notes, ...warnings, ...refused]) printNote(note);
  }
  try {
    if (text !== config.text) await writeConfig(text);
  } catch (error) {
    if (outcome === 'new') await requestDown(paths, names);
    throw error;
  }
  return bridge;
}

/** BPF that a fan does without, though nothing said so before: the kernel refused it. */
async function refusedBpf(bridge: string, paths: RunPaths): Promise<string[]> {
  const { ioNotes = [] } = (await readFans(paths)).find((fan) => fan.bridge === bridge) ?? {};
  return ioNotes.filter((note) => note.startsWith('bpf: ')).map((note) => noBpf(`(${note.slice(5)})`));
}

/** DHCP in the half that enable-docker and the like leave to it. */
function usualOptions({ overlay, underlay, options }: FanLine): FanOptions {
  const slice = prefixOf(overlay.base, Math.min(32, overlay.length + 32 - underlay.length));
  const half = 2 ** (31 - slice.length) - 1;
  return { ...options, dhcp: true, ...(isHalved(slice) && { dhcpRange: [2, half] }) };
}
