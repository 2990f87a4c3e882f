/**
 * The rooms of src/, lowest floor first. A room sees itself and those of its line; `io/*` is io and all rooms in it.
 * A line names only rooms that stand above it in this table: so no import climbs, and no two rooms need each other.
 */
export interface Room {
  readonly name: string;
  /** What lives here, and what may not; src/README.md has the same line. */
  readonly holds: string;
  readonly sees: readonly string[];
}

const TABLE: readonly (readonly [name: string, holds: string, sees: string])[] = [
  ['base', 'errors, log, drop reasons, limits, the frame of a command line; nothing of networks', ''],
  ['addr', 'addresses and prefixes; no Node', 'base'],
  ['fan', 'the mapping and what follows from it; no Node, no packets', 'base addr'],
  ['wire', 'headers as bytes; no Node, no I/O', 'base addr'],
  ['io', 'the addon, batches, polling; no fan, no header', 'base'],
  ['io/netlink', 'what the kernel is asked and tells; changes nothing', 'base io'],
  ['io/devices', 'what packets come from and go to', 'base io io/netlink'],
  ['io/programs', 'BPF programs as objects; no rule of the fan', 'base io io/netlink'],
  ['dataplane/tables', 'what a packet is looked up in and counted by', 'base addr fan wire io/*'],
  ['dataplane/tracing', 'the tracer beside both walks', 'base addr fan wire io/* dataplane/tables'],
  [
    'dataplane/walks',
    'encap, decap, path errors and replies: every verdict; no system call',
    'base addr fan wire io/* dataplane/tables dataplane/tracing',
  ],
  [
    'dataplane/ports',
    "a fan's devices, opened in the mode that works; no verdict",
    'base addr fan wire io/* dataplane/tables',
  ],
  [
    'dataplane/kernel',
    'what the kernel forwards by itself, and what it leaves to us; drops nothing',
    'base addr fan wire io/* dataplane/tables dataplane/tracing dataplane/ports',
  ],
  [
    'dataplane',
    'the engine, on one page; no thread',
    'base addr fan wire io/* dataplane/tables dataplane/tracing dataplane/walks dataplane/ports dataplane/kernel',
  ],
  ['dataplane/workers', 'threads and what is said to them; no packet', 'base addr fan wire io/* dataplane/*'],
  ['dataplane/io-probe', 'which I/O modes work here, by packets', 'base addr fan wire io/* dataplane/*'],
  ['trace', 'captures out and in, dissection; no live device', 'base addr fan wire io/* dataplane/*'],
  ['config', 'the words of a fan; reads no host', 'base addr fan'],
  ['host', 'what the host has: links, routes, settings; no fan', 'base addr fan config'],
  ['host/firewall', 'would its rules drop this packet? Adds none', 'base addr fan config host'],
  ['host/steps', 'what `up` does to the host, each step undoable', 'base addr fan config host host/firewall'],
  [
    'runtimes',
    'Docker, LXD and Incus, LXC, podman, CNI: what fanatic does to each; starts no fan',
    'base addr fan config host',
  ],
  [
    'control',
    'what fanctl, fand and the diagnosis share: protocol, client, run directory, record of the fans',
    'base addr fan wire io/* dataplane/* trace config host/*',
  ],
  [
    'api',
    'what other programs import: ufan/mapping, ufan/client; prints nothing',
    'base addr fan config control',
  ],
  [
    'diagnosis/doctor',
    'what is wrong on this host; mends nothing itself',
    'base addr fan wire io/* dataplane/* trace config host/* control',
  ],
  [
    'diagnosis/explain',
    'where a packet goes; sends none',
    'base addr fan wire io/* dataplane/* trace config host/* control diagnosis/doctor',
  ],
  [
    'diagnosis/probe',
    'where packets to a peer die, by packets; and what answers them',
    'base addr fan wire io/* dataplane/* trace config host/* control diagnosis/*',
  ],
  [
    'daemon/healing',
    'when a fan is looked at, what is put back unasked, what is wrong with it; changes nothing itself',
    'base addr fan wire io/* dataplane/* trace config host/* control diagnosis/*',
  ],
  [
    'daemon/names',
    "names of other hosts' containers: who is asked, what is answered; starts nothing",
    'base addr fan config host/* control',
  ],
  [
    'daemon/handover',
    'what one fand passes to the next, and how they say so; changes nothing of the host',
    'base addr fan wire io/* dataplane/* trace config host/* control',
  ],
  [
    'daemon',
    'fand: its life and its fans; touches no packet, prints nothing',
    'base addr fan wire io/* dataplane/* trace config host/* control diagnosis/* daemon/*',
  ],
  [
    'cli/output',
    'how it is said, on a terminal and elsewhere',
    'base addr fan config trace control diagnosis/*',
  ],
  [
    'cli/commands',
    'one file a command of fanctl',
    'base addr fan config trace control diagnosis/* cli/output',
  ],
  [
    'cli/fanatic',
    'one file a command of fanatic, but for the pairs of the runtimes',
    'base addr fan config runtimes control cli/output cli/commands',
  ],
  ['cli', 'the programs fanctl and fanatic', 'base addr fan config trace runtimes control diagnosis/* cli/*'],
];

export const ROOMS: readonly Room[] = TABLE.map(([name, holds, sees], index) => ({
  name,
  holds,
  sees: sees
    .split(' ')
    .filter(Boolean)
    .flatMap((word) => (word.endsWith('/*') ? within(word.slice(0, -2), index) : [word])),
}));

/** Of the rooms above line `end`: this one and those in it. */
function within(room: string, end: number): string[] {
  return TABLE.slice(0, end)
    .map(([name]) => name)
    .filter((name) => name === room || name.startsWith(`${room}/`));
}

/** The room of a file, named from src/: the folder that it stands in. */
export const roomOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));

/** Undefined where all is well; else a sentence that says where a file of these imports belongs. */
export function misplaced(path: string, imports: readonly string[]): string | undefined {
  const room = ROOMS.find(({ name }) => name === roomOf(path));
  if (!room) {
    const known = ROOMS.map(({ name }) => name).join(', ');
    return `${path} stands in no room: move it to one of ${known}; or give "${roomOf(path)}" a line in test/arch/rooms.ts`;
  }
  const canHold = ({ name, sees }: Room): boolean =>
    imports.every((file) => name === roomOf(file) || sees.includes(roomOf(file)));
  if (canHold(room)) return undefined;
  const wrong = imports.filter((file) => roomOf(file) !== room.name && !room.sees.includes(roomOf(file)));
  // The lowest floor that sees all it needs; of the same house rather than of another.
  const house = room.name.split('/')[0]!;
  const right = ROOMS.filter(canHold);
  const near = right.find(({ name }) => name.split('/')[0] === house) ?? right[0];
  const remedy = near ? `it belongs in ${near.name}/ (${near.holds})` : 'no room sees all it needs: split it';
  return `${path} imports ${wrong.join(' and ')}, which ${room.name}/ may not see: ${remedy}`;
}
