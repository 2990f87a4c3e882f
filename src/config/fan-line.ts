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
import { FAN_FLAGS, type FanFlag } from './fan-flags.js';
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

/**
 * Reads the words in whatever order they come. Throws one FanError: usage for a word that is wrong, doubled or
 * without its value, bad-overlay or bad-underlay for an end that is none.
 */
export function parseFanWords(words: readonly string[]): FanWords {
  const options: FanOptions = { ...DEFAULT_OPTIONS };
  const given = new Map<string, string>();
  const loose: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const option = readOption(word);
    if (!option) {
      loose.push(word);
      continue;
    }
    const flag = FLAGS.get(option.name);
    const takesValue = !flag || flag.argument !== undefined;
    if (!takesValue && option.value !== undefined) {
      throw new FanError('usage', `"${word}": ${option.name} takes no value`);
    }
    const value = option.value ?? (takesValue ? words[++i] : '');
    if (value === undefined)
      throw new FanError('usage', `"${word}" needs a value: ${word} ${flag?.argument ?? 'X'}`);
    if (given.has(option.name)) throw new FanError('usage', `${option.name} is given twice: say it once`);
    given.set(option.name, value);
    flag?.set(options, value);
  }
  return { ...assignEnds(loose, given.get('overlay'), given.get('underlay')), options };
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
function assignEnds(loose: readonly string[], overlayText?: string, underlayText?: string): Ends {
  const ends: Ends = {};
  if (overlayText !== undefined) ends.overlay = parseOverlay(overlayText);
  if (underlayText !== undefined) ends.underlay = parseUnderlay(underlayText);
  const open = (ends.overlay ? 0 : 1) + (ends.underlay ? 0 : 1);
  if (loose.length > open) {
    const wanted = ['no more words', 'one of them', 'one overlay and one underlay'][open]!;
    const words = loose.map((word) => `"${word}"`).join(', ');
    const remedy = `want ${wanted} beside the flags ${[...FLAGS.keys()].join(', ')}`;
    throw new UnknownWord(words, remedy, loose, DASHED);
  }
  const [first, second] = loose;
  if (first === undefined) return ends;
  if (second !== undefined) return orderEnds(first, second);
  if (ends.overlay) return { ...ends, underlay: parseUnderlay(first) };
  if (ends.underlay) return { ...ends, overlay: parseOverlay(first) };
  const overlay = attempt(() => parseOverlay(first));
  return overlay ? { overlay } : { underlay: parseUnderlay(first) };
}

/**
 * Which of two words is the overlay. Overlay first is the documented order; the other is taken where the first
 * order cannot be a fan (its overlay is none, or not wider than its underlay) and the second can.
 */
function orderEnds(first: string, second: string): Ends {
  const forward = pairOf(first, second);
  const backward = pairOf(second, first);
  if (forward && backward) return likeness(backward) > likeness(forward) ? backward : forward;
  if (forward) return forward;
  if (backward) return backward;
  const firstIsDevice = !/^[0-9.]+(?:\/|$)/.test(first);
  return firstIsDevice
    ? { overlay: parseOverlay(second), underlay: parseUnderlay(first) }
    : { overlay: parseOverlay(first), underlay: parseUnderlay(second) };
}

function pairOf(overlayText: string, underlayText: string): Required<Ends> | undefined {
  return attempt(() => ({ overlay: parseOverlay(overlayText), underlay: parseUnderlay(underlayText) }));
}

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
