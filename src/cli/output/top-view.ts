/**
 * A reading as the lines of a screen: fand, fans with their rates and sparklines, drops by reason, peers. Pure, so that
 * what is seen can be tested; the terminal is terminal.ts's.
 *
 * What doesn't fit is left out from the bottom of the longest list that has least to say: peers, drops, then fans.
 */
import { printable } from '../../base/printable.js';
import { wrapText } from '../../base/wrap.js';
import type { DropRate, FanRates, PeerRates, Rate, Reading } from './activity-rates.js';
import { drawSparkline, formatDuration, formatQuantity } from './quantities.js';

export const BLOCKS = '▁▂▃▄▅▆▇█';
/** For a terminal that is not set to UTF-8. */
export const ASCII = '_.-:=+*#';

export interface Line {
  text: string;
  isTitle: boolean;
}

export interface Layout {
  columns: number;
  /** Infinity: everything is shown. */
  rows: number;
  /** From nothing to the largest. */
  glyphs: string;
}

/** Bits/s of a fan, the oldest first. */
export interface RateHistory {
  out: readonly number[];
  in: readonly number[];
}

/** The rates of each fan, as far as a wide screen shows them. */
export class RateHistories {
  readonly byBridge = new Map<string, { out: number[]; in: number[] }>();

  /** Fans that are gone are forgotten. */
  add({ fans }: Reading): void {
    const gone = [...this.byBridge.keys()].filter((name) => !fans.some(({ bridge }) => bridge === name));
    for (const name of gone) this.byBridge.delete(name);
    for (const { bridge, out, in: into } of fans) {
      const past = this.byBridge.get(bridge) ?? { out: [], in: [] };
      past.out = [...past.out, out.bitsPerSecond].slice(-LONGEST_HISTORY);
      past.in = [...past.in, into.bitsPerSecond].slice(-LONGEST_HISTORY);
      this.byBridge.set(bridge, past);
    }
  }
}

/** A list with a title; an entry may be several lines. */
interface Section {
  title: string;
  entries: readonly (readonly string[])[];
  /** Entries that are shown at least. */
  least: number;
}

/** A device name is of 15 characters at most, an address as well. */
const NAME = 17;
const DIRECTION = 4;
const MTU = 6;
const GAP = 2;
const LONGEST_HISTORY = 300;

/** How wide numbers are, and which columns there is room for. */
interface Widths {
  readonly number: number;
  /** Of a peer's numbers, four in a row. */
  readonly rate: number;
  /** Of the fan's name beside a peer. */
  readonly fan: number;
  readonly reason: number;
  /** Whether a peer has one line; else one out and one in, as a fan. */
  readonly isFlat: boolean;
}

const WIDE: Widths = { number: 12, rate: 10, fan: NAME, reason: 30, isFlat: true };
const MEDIUM: Widths = { number: 9, rate: 9, fan: 0, reason: 25, isFlat: true };
const NARROW: Widths = { ...MEDIUM, reason: 0, isFlat: false };

/** The widest that fit: out and in are seen of fans and peers on every terminal. */
function widthsFor(columns: number): Widths {
  if (columns >= 2 * NAME + 4 * WIDE.rate + MTU) return WIDE;
  return columns >= NAME + MEDIUM.reason + 2 * MEDIUM.number ? MEDIUM : NARROW;
}

/** At most `rows` lines of at most `columns` characters. */
export function renderTop(
  reading: Reading,
  history: ReadonlyMap<string, RateHistory>,
  layout: Layout,
): Line[] {
  const widths = widthsFor(layout.columns);
  const sections = [
    fanSection(reading, history, layout, widths),
    dropSection(reading, widths),
    peerSection(reading, widths),
  ];
  const shown = sections.filter(({ entries }) => entries.length > 0);
  const header = headerOf(reading).flatMap((line) => wrapText('', line, layout.columns, 2).split('\n'));
  const lines: Line[] = header.map(plain);
  for (const { section, count } of fillRows(shown, layout.rows - header.length)) {
    const left = section.entries.length - count;
    lines.push(plain(''), { text: section.title, isTitle: true });
    lines.push(...section.entries.slice(0, count).flatMap((entry) => entry.map(plain)));
    if (left > 0) lines.push(plain(`  and ${left} more`));
  }
  return lines.slice(0, layout.rows).map(({ text, isTitle }) => ({
    text: printable(text).slice(0, layout.columns).trimEnd(),
    isTitle,
  }));
}

function plain(text: string): Line {
  return { text, isTitle: false };
}

/** How many entries of each section there is room for. */
function fillRows(sections: readonly Section[], rows: number): { section: Section; count: number }[] {
  const shown = sections.map((section) => ({ section, count: section.entries.length }));
  const height = (): number =>
    shown.reduce((sum, { section, count }) => {
      const entries = section.entries.slice(0, count).reduce((lines, entry) => lines + entry.length, 0);
      return sum + 2 + entries + (count < section.entries.length ? 1 : 0);
    }, 0);
  while (height() > rows) {
    const last = shown.findLast(({ section, count }) => count > section.least);
    if (!last) break;
    last.count -= 1;
  }
  return shown;
}

function headerOf(reading: Reading): string[] {
  const { hostname, pid, uptimeSeconds, cpuPercent, rssBytes, workers, fans, peers, pathMtus } = reading;
  const busy = workers.map(({ busyPercent }) => formatPercent(busyPercent)).join(', ');
  const first = [
    hostname,
    `fand ${pid} up ${formatDuration(uptimeSeconds)}`,
    `CPU ${formatPercent(cpuPercent)}`,
    `RSS ${formatQuantity(rssBytes)}B`,
    workers.length === 0 ? 'no worker' : `busy ${busy}`,
  ];
  const second = [
    fans.length === 0 ? 'no fan is up' : count(fans.length, 'fan'),
    count(peers.length, 'peer'),
    `${count(pathMtus.length, 'path')} with a smaller MTU`,
  ];
  return [first.join('  '), second.join(', ')];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function formatPercent(percent: number): string {
  return `${percent.toFixed(0)} %`;
}

function cell(text: string, width: number): string {
  return text.padStart(width);
}

function rateCells({ packetsPerSecond, bitsPerSecond }: Rate, width: number): string {
  return cell(formatQuantity(packetsPerSecond), width) + cell(formatQuantity(bitsPerSecond), width);
}

function fanSection(
  { fans }: Reading,
  history: ReadonlyMap<string, RateHistory>,
  { columns, glyphs }: Layout,
  widths: Widths,
): Section {
  const before = NAME + DIRECTION + 2 * widths.number + GAP;
  const width = columns === Number.POSITIVE_INFINITY ? 0 : columns - before;
  const rows = fans.map((fan) => {
    const past = history.get(fan.bridge) ?? { out: [], in: [] };
    // One point is no line.
    const draw = (values: readonly number[]): string =>
      values.length < 2 ? '' : ' '.repeat(GAP) + drawSparkline(values, width, glyphs);
    return fanRows(fan, draw(past.out), draw(past.in), widths);
  });
  const title = `${'FAN'.padEnd(NAME + DIRECTION)}${rateTitles(widths)}`;
  return { title, entries: rows, least: 1 };
}

function rateTitles({ number }: Widths): string {
  return cell('packets/s', number) + cell('bits/s', number);
}

function fanRows(fan: FanRates, outPicture: string, inPicture: string, { number }: Widths): string[] {
  if (fan.state === 'dead') return [`${fan.bridge.padEnd(NAME)}${fan.state}`];
  return [
    `${fan.bridge.padEnd(NAME)}${'out'.padEnd(DIRECTION)}${rateCells(fan.out, number)}${outPicture}`,
    `${`  io ${fan.io}`.padEnd(NAME)}${'in'.padEnd(DIRECTION)}${rateCells(fan.in, number)}${inPicture}`,
  ];
}

function dropSection({ drops }: Reading, widths: Widths): Section {
  const numbers = cell('packets/s', widths.number) + cell('packets', widths.number);
  const title = `${'DROPS'.padEnd(NAME)}${'reason'.padEnd(widths.reason)}`.slice(0, NAME + widths.reason);
  return { title: title + numbers, entries: drops.map((drop) => dropRows(drop, widths)), least: 3 };
}

function dropRows({ fan, reason, packetsPerSecond, packets }: DropRate, widths: Widths): string[] {
  const { number, isFlat } = widths;
  const numbers = cell(formatQuantity(packetsPerSecond), number) + cell(formatQuantity(packets), number);
  if (isFlat) return [`${fan.padEnd(NAME)}${reason.padEnd(widths.reason)}${numbers}`];
  return [reason, `${`  ${fan}`.padEnd(NAME)}${numbers}`];
}

/** Paths that take less are shown with their peer, which may have been quiet for longer than it is remembered. */
function peerSection({ peers, pathMtus }: Reading, widths: Widths): Section {
  const mtus = new Map(pathMtus.map(({ peer, mtu }) => [peer, mtu]));
  const quiet = pathMtus.filter(({ peer }) => !peers.some((known) => known.peer === peer));
  const nothing: Rate = { packetsPerSecond: 0, bitsPerSecond: 0 };
  const all = [...peers, ...quiet.map(({ peer }) => ({ peer, bridge: '', out: nothing, in: nothing }))];
  return {
    title: peerTitle(widths),
    entries: all.map((peer) => peerRows(peer, mtus.get(peer.peer), widths)),
    least: 1,
  };
}

function peerTitle(widths: Widths): string {
  const { rate, fan, isFlat } = widths;
  if (!isFlat) return `${'PEER'.padEnd(NAME + DIRECTION)}${rateTitles(widths)}`;
  const names = fan > 0 ? ['pkt/s', 'bit/s'] : ['p/s', 'b/s'];
  const titles = ['out', 'in'].flatMap((way) => names.map((name) => cell(`${way} ${name}`, rate)));
  return `${'PEER'.padEnd(NAME)}${'fan'.padEnd(fan).slice(0, fan)}${titles.join('')}${cell('MTU', MTU)}`;
}

function peerRows(
  { peer, bridge, out, in: into }: PeerRates,
  mtu: number | undefined,
  widths: Widths,
): string[] {
  const { rate, fan, number, isFlat } = widths;
  if (isFlat) {
    const rates = rateCells(out, rate) + rateCells(into, rate);
    return [`${peer.padEnd(NAME)}${bridge.padEnd(fan).slice(0, fan)}${rates}${cell(`${mtu ?? ''}`, MTU)}`];
  }
  const below = mtu === undefined ? '' : `  MTU ${mtu}`;
  return [
    `${peer.padEnd(NAME)}${'out'.padEnd(DIRECTION)}${rateCells(out, number)}`,
    `${below.padEnd(NAME)}${'in'.padEnd(DIRECTION)}${rateCells(into, number)}`,
  ];
}
