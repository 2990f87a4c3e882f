/** Times in names of files, as strftime(3) writes them: the part of its conversions that names of files are made of. */
import { FanError } from '../base/error.js';

const CONVERSIONS: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => `${date.getFullYear()}`,
  y: (date) => pad(date.getFullYear() % 100),
  m: (date) => pad(date.getMonth() + 1),
  d: (date) => pad(date.getDate()),
  j: (date) => pad(dayOfYear(date), 3),
  H: (date) => pad(date.getHours()),
  M: (date) => pad(date.getMinutes()),
  S: (date) => pad(date.getSeconds()),
  s: (date) => `${Math.floor(date.getTime() / 1000)}`,
  F: (date) => formatTime('%Y-%m-%d', date),
  T: (date) => formatTime('%H:%M:%S', date),
  R: (date) => formatTime('%H:%M', date),
  '%': () => '%',
};
const CONVERSION = /%(.?)/gsu;

/** Whether the name has a time in it. */
export function isTimed(name: string): boolean {
  return name.replaceAll('%%', '').includes('%');
}

/** `name` with the local time in the place of its conversions. Throws FanError usage for one that is not known. */
export function formatTime(name: string, date: Date): string {
  return name.replace(CONVERSION, (_, letter: string) => {
    const convert = Object.hasOwn(CONVERSIONS, letter) ? CONVERSIONS[letter] : undefined;
    if (convert) return convert(date);
    const known = Object.keys(CONVERSIONS).map((each) => `%${each}`);
    throw new FanError('usage', `%${letter} is no time that a file can be named by: use ${known.join(' ')}`);
  });
}

function dayOfYear(date: Date): number {
  const midnight = (year: number, month: number, day: number) => Date.UTC(year, month, day);
  const today = midnight(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((today - midnight(date.getFullYear(), 0, 0)) / 86_400_000);
}

function pad(value: number, width = 2): string {
  return `${value}`.padStart(width, '0');
}
