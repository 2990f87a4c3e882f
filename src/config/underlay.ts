/**
 * The underlay of a fan as the operator names it: an address, the network in which this host has one, a device, or the
 * device of the default route, each with the width of the underlay network. Which address that is on this host is found
 * out by host/, at `up`.
 */
import { formatAddress, parseAddress } from '../addr/ipv4-address.js';
import { prefixOf } from '../addr/prefix.js';
import { errorText, FanError } from '../base/error.js';
import { isDeviceName } from './device-name.js';

export type UnderlaySpec =
  | { readonly kind: 'address'; readonly address: number; readonly length: number }
  | { readonly kind: 'network'; readonly address: number; readonly length: number }
  | { readonly kind: 'device'; readonly device: string; readonly length: number }
  | { readonly kind: 'default'; readonly length: number };

/** The width that is meant where none is written. */
const DEFAULT_LENGTH = 16;

const WIDTH = /^(?:0|[1-9][0-9]?)$/;
const FOUR_NUMBERS = /^[0-9]+(?:\.[0-9]+){3}$/;
const EXAMPLES = 'write one such as 172.30.0.28/16, 172.30.0.0/16, eth0/16 or default/16';
/** In a wider network than this the first address is no host's (RFC 3021). */
const POINT_TO_POINT = 31;

/**
 * "172.30.0.28/16", "172.30.0.28", "172.30.0.0/16", "eth0/16", "eth0", "default/16" or "default". Four numbers are an
 * address, or a network where no host bit is set, even where a device has that name. Throws FanError bad-underlay.
 */
export function parseUnderlay(text: string): UnderlaySpec {
  const slash = text.indexOf('/');
  const name = slash < 0 ? text : text.slice(0, slash);
  const length = slash < 0 ? DEFAULT_LENGTH : parseWidth(text, text.slice(slash + 1));
  if (name === 'default') return { kind: 'default', length };
  if (FOUR_NUMBERS.test(name)) return numbersOf(parseHost(name), length);
  if (isDeviceName(name)) return { kind: 'device', device: name, length };
  throw new FanError('bad-underlay', `"${text}" is no underlay: ${EXAMPLES}`);
}

/** The inverse of parseUnderlay, always with the width: "eth0/16". */
export function formatUnderlay(spec: UnderlaySpec): string {
  switch (spec.kind) {
    case 'address':
    case 'network':
      return `${formatAddress(spec.address)}/${spec.length}`;
    case 'device':
      return `${spec.device}/${spec.length}`;
    case 'default':
      return `default/${spec.length}`;
  }
}

function numbersOf(address: number, length: number): UnderlaySpec {
  const isNetwork = length < POINT_TO_POINT && prefixOf(address, length).base === address;
  return { kind: isNetwork ? 'network' : 'address', address, length };
}

function parseWidth(text: string, width: string): number {
  if (!WIDTH.test(width) || Number(width) > 32) {
    throw new FanError('bad-underlay', `"${text}" is no underlay: the width after / is 0 to 32; ${EXAMPLES}`);
  }
  return Number(width);
}

function parseHost(text: string): number {
  try {
    return parseAddress(text);
  } catch (cause) {
    throw new FanError('bad-underlay', errorText(cause), { cause });
  }
}
