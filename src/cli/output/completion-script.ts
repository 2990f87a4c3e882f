/**
 * Shell completion of fanctl and fanatic from the definitions of their commands, as a script for bash, zsh or fish:
 * commands, their options, the flags of a fan, and what the host has where a value asks for it. Each script is one function over the
 * same table: which words may come in this command after that word.
 */
import type { HelpRow } from '../../base/command-help.js';
import type { CommandOption } from '../../base/command-line.js';
import { FAN_FLAGS } from '../../config/fan-flags.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What of a command's definition completion is made from. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CommandOption[];
  readonly takesFlags?: boolean;
  readonly completes?: string;
}

/** What may come in `command`, after the words `after` where there are any, else wherever nothing else is known. */
interface Place {
  readonly command: string;
  readonly after?: readonly string[];
  readonly rows: readonly HelpRow[];
  /** Flags as options, offered once a dash is there. */
  readonly dashed?: readonly HelpRow[];
  /** A command line that prints more, one a line; or FILE. */
  readonly more?: string;
}

const ofShow = (fields: string): string => `fanctl show 2>/dev/null | awk 'NR > 1 { print ${fields} }'`;
const DEVICES = 'ls /sys/class/net; echo default';
const FILE = 'FILE';

/** What a value's name stands for, on this host. A name with "|" lists its values itself; any other is free. */
const VALUES: Readonly<Record<string, string>> = {
  FILE,
  'FILE|-': FILE,
  BRIDGE: ofShow('$1'),
  'FAN-WORDS': DEVICES,
  'FANS-UP': ofShow('$2 "\\n" $3'),
};

const HELP: HelpRow = ['--help', 'explain this, and do nothing'];
const ENDS: readonly HelpRow[] = [
  ['-o', 'the overlay'],
  ['-u', 'the underlay'],
];

/** For `program`, "fanctl" or "fanatic". */
export function completionScript(
  shell: Shell,
  commands: readonly CompletedCommand[],
  program = 'fanctl',
): string {
  const names = commands.map(({ name, summary }): HelpRow => [name, summary]);
  const first = [...names, HELP, ['--version', 'print the version'] satisfies HelpRow];
  const places = commands.flatMap((command) => placesOf(command, names));
  return { bash, zsh, fish }[shell](program, first, places);
}

/** The values of its options first, then its words. */
function placesOf(command: CompletedCommand, names: readonly HelpRow[]): Place[] {
  const { name, options, completes = '', takesFlags = false } = command;
  const isOfFans = completes === 'FAN-WORDS' || completes === 'FANS-UP';
  const flags = takesFlags ? FAN_FLAGS : [];
  const valued: [readonly string[], string][] = [
    ...options.map((option): [readonly string[], string] => [option.names, option.value ?? '']),
    ...flags.map((flag): [readonly string[], string] => [[flag.name, `--${flag.name}`], flag.argument ?? '']),
  ];
  const places = valued
    .filter(([, value]) => value !== '')
    .map(([after, value]) => placeOf(name, value, after));
  if (isOfFans) {
    const isUp = completes === 'FANS-UP';
    places.push({ command: name, after: ['-o', '--overlay'], rows: [], ...(isUp && { more: ofShow('$2') }) });
    places.push({
      command: name,
      after: ['-u', '--underlay'],
      rows: [],
      more: isUp ? ofShow('$3') : DEVICES,
    });
  }
  const own = options.flatMap((option) => option.names.map((each): HelpRow => [each, option.summary]));
  const words = flags.map((flag): HelpRow => [flag.name, flag.summary]);
  const dashed = words.map(([word, text]): HelpRow => [`--${word}`, text]);
  const last = placeOf(name, completes);
  const named = completes === 'COMMAND' ? names : last.rows;
  return [
    ...places,
    { ...last, rows: [...named, ...words, ...(isOfFans ? ENDS : []), ...own, HELP], dashed },
  ];
}

function placeOf(command: string, value: string, after?: readonly string[]): Place {
  const more = VALUES[value];
  const rows = more === undefined && value.includes('|') ? value.split('|') : [];
  const named = rows.filter((word) => word === word.toLowerCase()).map((word): HelpRow => [word, '']);
  return { command, rows: named, ...(after && { after }), ...(more !== undefined && { more }) };
}

const MADE = (program: string, shell: Shell): string =>
  `# Completion of ${program} for ${shell}, made by: ${program} completion ${shell}`;
const patternsOf = ({ command, after }: Place): string[] =>
  (after ?? ['*']).map((word) => `${command}/${word}`);
const wordsOf = (rows: readonly HelpRow[]): string => rows.map(([word]) => word).join(' ');

function bash(program: string, first: readonly HelpRow[], places: readonly Place[]): string {
  const cases = places.map((place) => {
    const words = [wordsOf(place.rows), place.more && place.more !== FILE ? `$(${place.more})` : ''];
    const isFile = place.more === FILE ? ' files=1' : '';
    const dashed = place.dashed?.length ? ` dashed="${wordsOf(place.dashed)}"` : '';
    return `    ${patternsOf(place).join(' | ')}) words="${words.join(' ').trim()}"${dashed}${isFile} ;;`;
  });
  return `${MADE(program, 'bash')}

_${program}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} words= dashed= files= place
  # bash takes --io=raw for three words.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  place=\${COMP_WORDS[1]}/$before
  ((COMP_CWORD > 1)) || place=
  case $place in
    '') words="${wordsOf(first)}" ;;
${cases.join('\n')}
  esac
  [[ $word != -* ]] || words+=" $dashed"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [[ -z $files ]] || COMPREPLY+=($(compgen -f -- "$word"))
}

complete -F _${program} ${program}
`;
}

function zsh(program: string, first: readonly HelpRow[], places: readonly Place[]): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const items = (rows: readonly HelpRow[]): string =>
    rows.map(([word, text]) => quote(text === '' ? word : `${word}:${text}`)).join(' ');
  const cases = places.map((place) => {
    const more = place.more === FILE ? '; _files' : place.more ? `; compadd -- $(${place.more})` : '';
    const dashed = place.dashed?.length ? `; [[ $PREFIX != -* ]] || known+=(${items(place.dashed)})` : '';
    return `    ${patternsOf(place).join('|')}) known=(${items(place.rows)})${dashed}${more} ;;`;
  });
  return `#compdef ${program}
${MADE(program, 'zsh')}

_${program}() {
  local -a known
  local place=\${words[2]}/\${words[CURRENT-1]}
  ((CURRENT > 2)) || place=
  case $place in
    '') known=(${items(first)}) ;;
${cases.join('\n')}
  esac
  ((\${#known} == 0)) || _describe -o word known
}

if [[ \${funcstack[1]} == _${program} ]]; then
  _${program} "$@"
else
  compdef _${program} ${program}
fi
`;
}

function fish(program: string, first: readonly HelpRow[], places: readonly Place[]): string {
  const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
  const list = (rows: readonly HelpRow[]): string[] =>
    rows.length === 0 ? [] : [`printf '%s\\t%s\\n' ${rows.flat().map(quote).join(' ')}`];
  const cases = places.map((place) => {
    const more =
      place.more === FILE ? ['__fish_complete_path (commandline -ct)'] : place.more ? [place.more] : [];
    const dashed = list(place.dashed ?? []).map(
      (line) => `string match -q -- '-*' (commandline -ct); and ${line}`,
    );
    const lines = [...list(place.rows), ...dashed, ...more].map((line) => `            ${line}`);
    return [`        case ${patternsOf(place).map(quote).join(' ')}`, ...lines].join('\n');
  });
  return `${MADE(program, 'fish')}

function __${program}_words
    set -l words (commandline -opc)
    set -l place
    if test (count $words) -gt 1
        set place $words[2]/$words[-1]
    end
    switch "$place"
        case ''
            ${list(first).join('')}
${cases.join('\n')}
    end
end

complete -c ${program} -f -a '(__${program}_words)'
`;
}
