/**
 * `ufan/mapping`: the fan's arithmetic for other programs. Pure: no Node, no host, no fand. Addresses are u32 in host
 * order (0xfa001b02 is 250.0.27.2), as everywhere in ufan; parse and format are the way in and out.
 */
import { type Prefix, parsePrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import { parseOverlay } from '../config/overlay.js';
import { parseUnderlay } from '../config/underlay.js';
import { createMapping, type FanMapping } from '../fan/mapping.js';

export { formatAddress, parseAddress } from '../addr/ipv4-address.js';
export { broadcastOf, contains, formatPrefix } from '../addr/prefix.js';
export type { FanErrorCode } from '../base/error.js';
export { sliceOf, underlayHostOf } from '../fan/mapping.js';
export { createMapping, FanError, type FanMapping, type Prefix, parsePrefix };

/**
 * The fan of a host in words: "250.0.0.0/8" (or "250") and the host's underlay address with the width of its network,
 * "172.30.0.28/16". Throws FanError bad-overlay, bad-underlay or overlap.
 */
export function parseFan(overlay: string, underlay: string): FanMapping {
  const spec = parseUnderlay(underlay);
  if (spec.kind === 'address') return createMapping(parseOverlay(overlay), spec.address, spec.length);
  throw new FanError(
    'bad-underlay',
    `"${underlay}": no host is asked here, write its address and width such as 172.30.0.28/16`,
  );
}
