/**
 * Names of a fan's devices: the bridge is `fan-` and the slice's address up to the last octet that its prefix
 * covers (250.0.28.0/24 is fan-250-0-28), the TUN the same with `tun-`, the TAP of a VXLAN fan with `tap-`, and the
 * VXLAN device beside it with `vx-`.
 *
 * A name that Linux would not take (over 15 characters) or that is taken falls back to the slice in hexadecimal
 * (fan-21f01020), and then to that with -2, -3, … for the second, third, … of the same.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import type { Prefix } from '../addr/prefix.js';
import { formatPrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';

/** IFNAMSIZ (16) less the closing NUL. */
const LONGEST_NAME = 15;
/** `fan-` + 8 digits leave room for "-99". */
const MOST_OF_THE_SAME = 99;

/** What their names begin with. */
export const VXLAN_DEVICES = 'vx-';

/** Throws FanError in-use where `isTaken` is true of every name that the rule allows. */
export function bridgeName(slice: Prefix, isTaken: (name: string) => boolean): string {
  return deviceName('fan-', slice, isTaken);
}

/** As bridgeName. */
export function tunName(slice: Prefix, isTaken: (name: string) => boolean): string {
  return deviceName('tun-', slice, isTaken);
}

/** As bridgeName. */
export function tapName(slice: Prefix, isTaken: (name: string) => boolean): string {
  return deviceName('tap-', slice, isTaken);
}

/** As bridgeName. */
export function vxlanName(slice: Prefix, isTaken: (name: string) => boolean): string {
  return deviceName(VXLAN_DEVICES, slice, isTaken);
}

function deviceName(
  start: 'fan-' | 'tun-' | 'tap-' | typeof VXLAN_DEVICES,
  slice: Prefix,
  isTaken: (name: string) => boolean,
): string {
  const octets = formatAddress(slice.base)
    .split('.')
    .slice(0, Math.ceil(slice.length / 8));
  const plain = start + octets.join('-');
  if (plain.length <= LONGEST_NAME && !isTaken(plain)) return plain;
  const hex = start + slice.base.toString(16).padStart(8, '0');
  if (!isTaken(hex)) return hex;
  for (let n = 2; n <= MOST_OF_THE_SAME; n++) {
    if (!isTaken(`${hex}-${n}`)) return `${hex}-${n}`;
  }
  throw new FanError(
    'in-use',
    `no name is left for a device of slice ${formatPrefix(slice)}: name it with "bridge NAME"`,
  );
}
