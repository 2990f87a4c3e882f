/** `fanctl config`: the lines of /etc/network/fan, listed, shown, set and taken out. The fans stay as they are. */
import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import {
  entriesOf,
  type FileEntry,
  formatEnds,
  parseFanFile,
  setFan,
  unsetFan,
} from '../../config/fan-file.js';
import { formatFlags } from '../../config/fan-flags.js';
import { type FanWords, parseFanLine, parseFanWords } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { writeConfig } from '../../control/config-file.js';
import { formatJson, print } from '../output/output.js';
import { type Command, type Invocation, JSON_OPTION, QUIET } from './command.js';
import { LineFailures, type OpenConfig, openConfig } from './config-lines.js';

type Verb = (config: OpenConfig, words: readonly string[], isJson: boolean) => Promise<void> | void;

const VERBS = new Map<string, Verb>([
  ['list', list],
  ['show', show],
  ['set', set],
  ['unset', unset],
]);

export const config: Command = {
  name: 'config',
  synopsis: [
    'config list',
    'config show [OVERLAY] [UNDERLAY]',
    'config set OVERLAY UNDERLAY [FLAGS]',
    'config unset OVERLAY UNDERLAY',
  ],
  summary: 'list and edit the lines of /etc/network/fan',
  description: `list prints every line that is a fan, show those of a fan as they stand. set gives
the line of a fan exactly these flags, or adds one at the end; unset takes it out. Other
lines stay as they are, to the byte. It brings nothing up or down: see up -a and down -a.`,
  options: [JSON_OPTION, QUIET],
  takesFlags: true,
  completes: [...VERBS.keys()].join('|'),
  examples: ['config list', 'config set 250.0.0.0/8 172.30.0.0/16 dhcp', 'config unset 250 172.30.0.0/16'],
  run,
};

async function run({ words, given }: Invocation): Promise<void> {
  const [name = '', ...rest] = words;
  const verb = VERBS.get(name);
  if (!verb) {
    const said = name === '' ? 'config what?' : `config has no "${name}":`;
    throw new FanError('usage', `${said} say one of ${[...VERBS.keys()].join(', ')}`);
  }
  await verb(await openConfig(), rest, given.has('--json'));
}

function list(config: OpenConfig, words: readonly string[], isJson: boolean): void {
  if (words.length > 0) throw new FanError('usage', `config list takes no "${words[0]}": see config show`);
  const { entries, faults, path } = config;
  if (isJson) print(formatJson({ file: path, fans: entries.map(toJson), errors: faults }));
  else {
    const row = (...[line, overlay, underlay, flags]: [string, string, string, string]) =>
      `${line.padEnd(5)} ${overlay.padEnd(20)} ${underlay.padEnd(20)} ${flags}`;
    print(row('Line', 'Overlay', 'Underlay', 'Flags'));
    for (const { line, fan } of entries) {
      const [overlay, underlay] = [formatOverlay(fan.overlay), formatUnderlay(fan.underlay)];
      print(printable(row(`${line}`, overlay, underlay, formatFlags(fan.options))));
    }
  }
  tellFaults(config);
}

function show(config: OpenConfig, words: readonly string[], isJson: boolean): void {
  const filter = parseFanWords(words);
  const found = config.entries.filter((entry) => isWanted(entry, filter));
  if (found.length === 0 && words.length > 0) {
    throw new FanError('not-configured', `no line of ${config.path} is ${words.join(' ')}`);
  }
  if (isJson) print(formatJson(found.map(toJson)));
  else for (const { text } of found) print(asItStands(text));
  if (words.length === 0) tellFaults(config);
}

async function set(config: OpenConfig, words: readonly string[], isJson: boolean): Promise<void> {
  const fan = parseFanLine(words);
  const text = setFan(config.text, fan);
  if (text !== config.text) await writeConfig(text);
  const changed = entriesOf(parseFanFile(text), fan)[0]!;
  if (isJson) print(formatJson({ file: config.path, changed: text !== config.text, ...toJson(changed) }));
  else print(asItStands(changed.text));
}

async function unset(config: OpenConfig, words: readonly string[], isJson: boolean): Promise<void> {
  const fan = parseFanLine(words);
  const gone = entriesOf(config, fan);
  if (gone.length === 0) {
    throw new FanError('not-configured', `no line of ${config.path} is ${formatEnds(fan)}`);
  }
  await writeConfig(unsetFan(config.text, fan));
  if (isJson) print(formatJson({ file: config.path, removed: gone.map(toJson) }));
}

/** Tabs are blanks of the file's. */
function asItStands(text: string): string {
  return text.split('\t').map(printable).join('\t');
}

function isWanted({ fan }: FileEntry, { overlay, underlay }: FanWords): boolean {
  const isOverlay = !overlay || formatOverlay(overlay) === formatOverlay(fan.overlay);
  return isOverlay && (!underlay || formatUnderlay(underlay) === formatUnderlay(fan.underlay));
}

function toJson({ line, fan, text }: FileEntry) {
  const { overlay, underlay, options } = fan;
  return {
    line,
    overlay: formatOverlay(overlay),
    underlay: formatUnderlay(underlay),
    flags: formatFlags(options),
    off: options.off,
    text,
  };
}

/** Throws FanError config where lines are none of a fan, after telling each. */
function tellFaults(config: OpenConfig): void {
  const failures = new LineFailures();
  failures.tellFaults(config);
  failures.throwIfAny();
}
