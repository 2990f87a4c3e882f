/** Numbers as an operator reads them: four digits at most and a letter for the thousands (SI). */

const LETTERS = ['', 'k', 'M', 'G', 'T'];
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "0", "3.1", "12", "1.50k", "123k", "9.87G". */
export function formatQuantity(value: number): string {
  let scaled = value;
  let letter = 0;
  // 999.5 would be printed as 1000.
  while (scaled >= 999.5 && letter < LETTERS.length - 1) {
    scaled /= 1000;
    letter += 1;
  }
  if (letter === 0) return Number.isInteger(scaled) || scaled >= 10 ? scaled.toFixed(0) : scaled.toFixed(1);
  const digits = scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${LETTERS[letter]}`;
}

/** A counter, whose name ends with its unit: "12,345 packets", "1,500,000 bytes", each in full. */
export function formatCounter(value: number, name: string): string {
  const unit = name.slice(name.lastIndexOf('-') + 1);
  return `${String(value).replaceAll(/(?<=\d)(?=(?:\d{3})+$)/g, ',')} ${unit.padEnd('packets'.length)}`;
}

/** "00:00:05", "3d 04:05:06". */
export function formatDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  const clock = [Math.floor((whole % DAY) / HOUR), Math.floor((whole % HOUR) / MINUTE), whole % MINUTE];
  const text = clock.map((part) => String(part).padStart(2, '0')).join(':');
  return whole >= DAY ? `${Math.floor(whole / DAY)}d ${text}` : text;
}

/** A picture of `values`, the newest at the right end, `width` characters; the largest is as high as can be. */
export function drawSparkline(values: readonly number[], width: number, glyphs: string): string {
  const shown = width > 0 ? values.slice(-width) : [];
  const largest = Math.max(...shown, 0);
  const steps = [...glyphs];
  const bars = shown.map((value) => {
    // Whatever is above nothing is seen to be.
    const step = value <= 0 ? 0 : Math.max(1, Math.round((value / largest) * (steps.length - 1)));
    return steps[step]!;
  });
  return bars.join('').padStart(width);
}
