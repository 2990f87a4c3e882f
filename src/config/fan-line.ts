/**
 * The words that describe a fan, on the command line and in a line of /etc/network/fan alike:
 *
 *   250.0.0.0/8 eth0/16 dhcp                        2015
 *   -o 250.0.0.0/8 -u eth0/16 --dhcp                since fanctl 0.9
 *
 * in any order that is unambiguous, flags with or without dashes, values as `ttl 64`, `--ttl 64` or `--ttl=64`.
 * A flag's word is always the flag: a device called "dhcp" is written `-u dhcp` or `dhcp/16`.
 *
 * A parser of our own: commander, which reads the rest of the command line, knows neither options without dashes nor
 * two words of which either may come first.
 */
import type { Prefix } from '../addr/prefix.js';
import { FanError, UnknownWord } from '../base/error.js';
import { FAN_FLAGS, type FanFlag, requireAgreeing } from './fan-flags.js';
import { DEFAULT_OPTIONS, type FanOptions } from './fan-options.js';
import { parseOverlay } from './overlay.js';
import { parseUnderlay, type UnderlaySpec } from './underlay.js';

export interface FanWords {
  overlay?: Prefix;
  underlay?: UnderlaySpec;
  options: FanOptions;
}

/** A fan of which both ends are known. */
export type FanLine = Required<FanWords>;

const FLAGS = new Map<string, FanFlag>(FAN_FLAGS.map((flag) => [flag.name, flag]));
const SHORT_ENDS = new Map([
  ['-o', 'overlay'],
  ['-u', 'underlay'],
]);
const ENDS = new Set(['overlay', 'underlay']);
const DASHED = [...ENDS, ...FLAGS.keys()].map((name) => `--${name}`);

/** A word with its place among those that were given. */
interface Word {
  readonly text: string;
  readonly index: number;
}

/**
 * Reads the words in whatever order they come. Throws one FanError: usage for a word that is wrong, doubled or
 * without its value, bad-overlay or bad-underlay for an end that is none.
 */
export function parseFanWords(words: readonly string[]): FanWords {
  const options: FanOptions = { ...DEFAULT_OPTIONS };
  const given = new Map<string, Word>();
  const loose: Word[] = [];
  for (let i = 0; i < words.length; i++) {
    const index = i;
    const text = words[i]!;
    const option = about(index, () => readOption(text));
    if (!option) {
      loose.push({ text, index });
      continue;
    }
    const flag = FLAGS.get(option.name);
    const value = about(index, () => {
      const takesValue = !flag || flag.argument !== undefined;
      const said = option.value ?? (takesValue ? words[++i] : '');
      requireSound(text, option, flag, said);
      const known = flag?.means ?? option.name;
      if (given.has(known)) throw new FanError('usage', `${known} is given twice: say it once`);
      return said;
    });
    given.set(flag?.means ?? option.name, { text: value, index: i });
    about(i, () => flag?.set(options, value));
  }
  requireAgreeing(options);
  return { ...assignEnds(loose, given.get('overlay'), given.get('underlay')), options };
}

/** Throws FanError usage where a value is missing, or is there where none may be. */
function requireSound(
  text: string,
  option: { name: string; value: string | undefined },
  flag: FanFlag | undefined,
  said: string | undefined,
): asserts said is string {
  if (flag && flag.argument === undefined && option.value !== undefined) {
    throw new FanError('usage', `"${text}": ${option.name} takes no value`);
  }
  if (said === undefined) {
    throw new FanError('usage', `"${text}" needs a value: ${text} ${flag?.argument ?? 'X'}`);
  }
}

/** Which word an error is about. */
const places = new WeakMap<FanError, number>();

/** Which of its words an error of parseFanWords is about, from 0; undefined where it is about none. */
export function wordOf(error: FanError): number | undefined {
  return places.get(error);
}

/** What fails in `read` is about word `index`, unless it names another one. */
function about<T>(index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FanError && !places.has(error)) places.set(error, index);
    throw error;
  }
}

/** As parseFanWords, and both ends must be there. */
export function parseFanLine(words: readonly string[]): FanLine {
  const { overlay, underlay, options } = parseFanWords(words);
  if (overlay && underlay) return { overlay, underlay, options };
  const missing = [
    overlay ? '' : 'an overlay such as 250.0.0.0/8',
    underlay ? '' : 'an underlay such as eth0/16',
  ];
  throw new FanError('usage', `what is missing: ${missing.filter((what) => what !== '').join(' and ')}`);
}

/** `word` as an option, or undefined where it is an overlay or underlay that stands by itself. */
function readOption(word: string): { name: string; value: string | undefined } | undefined {
  const equals = word.indexOf('=');
  const head = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  const end = SHORT_ENDS.get(head);
  if (end !== undefined) return { name: end, value };
  const dashed = head.startsWith('--');
  const name = dashed ? head.slice(2) : head;
  if (FLAGS.has(name) || (dashed && ENDS.has(name))) return { name, value };
  if (!word.startsWith('-')) return undefined;
  const known = ['-o', '-u', ...FLAGS.keys()].join(', ');
  const remedy = `those of a fan are ${known}; for a command's own see fanctl help`;
  throw new UnknownWord(`unknown option ${word}`, remedy, [word], DASHED);
}

type Ends = Pick<FanWords, 'overlay' | 'underlay'>;

/** Gives the words that stand by themselves to the ends that no -o or -u has named. */
function assignEnds(loose: readonly Word[], overlayWord?: Word, underlayWord?: Word): Ends {
  const ends: Ends = {};
  if (overlayWord !== undefined) ends.overlay = overlayOf(overlayWord);
  if (underlayWord !== undefined) ends.underlay = underlayOf(underlayWord);
  const open = (ends.overlay ? 0 : 1) + (ends.underlay ? 0 : 1);
  const tooMuch = loose[open];
  if (tooMuch) {
    const wanted = ['no more words', 'one of them', 'one overlay and one underlay'][open]!;
    const words = loose.map(({ text }) => text);
    const quoted = words.map((word) => `"${word}"`).join(', ');
    const remedy = `want ${wanted} beside the flags ${[...FLAGS.keys()].join(', ')}`;
    about(tooMuch.index, () => {
      throw new UnknownWord(quoted, remedy, words, DASHED);
    });
  }
  const [first, second] = loose;
  if (first === undefined) return ends;
  if (second !== undefined) return orderEnds(first, second);
  if (ends.overlay) return { ...ends, underlay: underlayOf(first) };
  if (ends.underlay) return { ...ends, overlay: overlayOf(first) };
  const overlay = attempt(() => overlayOf(first));
  return overlay ? { overlay } : { underlay: underlayOf(first) };
}

/**
 * Which of two words is the overlay. Overlay first is the documented order; the other is taken where the first
 * order cannot be a fan (its overlay is none, or not wider than its underlay) and the second can.
 */
function orderEnds(first: Word, second: Word): Ends {
  const forward = attempt(() => pairOf(first, second));
  const backward = attempt(() => pairOf(second, first));
  if (forward && backward) return likeness(backward) > likeness(forward) ? backward : forward;
  if (forward) return forward;
  if (backward) return backward;
  const firstIsDevice = !/^[0-9.]+(?:\/|$)/.test(first.text);
  return firstIsDevice ? pairOf(second, first) : pairOf(first, second);
}

function pairOf(overlay: Word, underlay: Word): Required<Ends> {
  return { overlay: overlayOf(overlay), underlay: underlayOf(underlay) };
}

const overlayOf = ({ text, index }: Word): Prefix => about(index, () => parseOverlay(text));
const underlayOf = ({ text, index }: Word): UnderlaySpec => about(index, () => parseUnderlay(text));

/** How much a pair looks like a fan: its widths first, then an underlay that can't be an overlay. */
function likeness({ overlay, underlay }: Required<Ends>): number {
  const narrower = underlay.length > overlay.length ? 2 : 0;
  return narrower + (underlay.kind === 'network' ? 0 : 1);
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
