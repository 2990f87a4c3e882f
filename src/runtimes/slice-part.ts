/**
 * Which part of a slice a runtime gives addresses from: the host and DHCP have the lower half, a runtime that gives its
 * own has the upper one, and two of them never share an address.
 */
import { containsPrefix, formatPrefix, overlaps, type Prefix, parsePrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import type { Entry, RuntimeFan } from './runtime.js';

/** A slice that is longer is not halved: too little would be left. */
const LONGEST_HALVED = 24;

export function isHalved(slice: Prefix): boolean {
  return slice.length <= LONGEST_HALVED;
}

export function upperHalf({ base, length }: Prefix): Prefix {
  return { base: (base + 2 ** (31 - length)) >>> 0, length: length + 1 };
}

/**
 * In CIDR: `asked`, or the upper half, or of a small slice all. `others` are what else uses this fan. Throws FanError
 * usage, in-use, each with the way out.
 */
export function chooseRange(
  { slice }: RuntimeFan,
  asked: string | undefined,
  others: readonly Entry[],
): string {
  const range = asked === undefined ? (isHalved(slice) ? upperHalf(slice) : slice) : parseRange(asked, slice);
  const other = others.find(
    (entry) => entry.range !== undefined && overlaps(parsePrefix(entry.range), range),
  );
  if (!other) return formatPrefix(range);
  throw new FanError(
    'in-use',
    `${formatPrefix(range)} is given to containers by ${other.runtime} already (${other.range}): ` +
      `say --range with another part of ${formatPrefix(slice)}, or fanatic disable-${other.runtime} first`,
  );
}

/** What to say where DHCP may give the same addresses; undefined where it does not. */
export function dhcpOverlap(fan: RuntimeFan, range: string): string | undefined {
  if (!fan.hasDhcp) return undefined;
  const { base, length } = parsePrefix(range);
  const last = fan.dhcpRange
    ? fan.slice.base + fan.dhcpRange[1]
    : fan.slice.base + 2 ** (32 - fan.slice.length);
  const first = fan.slice.base + (fan.dhcpRange?.[0] ?? 0);
  if (last < base || first >= base + 2 ** (32 - length)) return undefined;
  const half = 2 ** (31 - fan.slice.length) - 1;
  return (
    `DHCP of ${fan.bridge} may give addresses of ${range} too: to keep them apart, ` +
    `fanctl config set ${fan.overlay} ${fan.underlay} dhcp dhcp-range 2-${half}, then bring the fan up anew`
  );
}

function parseRange(text: string, slice: Prefix): Prefix {
  let range: Prefix;
  try {
    range = parsePrefix(text);
  } catch (cause) {
    throw new FanError('usage', `--range: ${(cause as Error).message}`, { cause });
  }
  if (containsPrefix(slice, range)) return range;
  throw new FanError('usage', `--range ${text} is no part of the fan's ${formatPrefix(slice)}`);
}
