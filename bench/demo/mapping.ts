/**
 * The fan's arithmetic in words, from the two networks alone, so that a reader can follow it and the demo can
 * hold fanctl to it.
 */
import { formatAddress, parseNetwork } from '../lab/address.js';

export interface ExplainedSlice {
  /** "250.0.28.0/24" */
  slice: string;
  text: string;
}

/** From overlay and underlay host to the host's slice. */
export function explainSlice(overlay: string, underlay: string): ExplainedSlice {
  const o = parseNetwork(overlay);
  const u = parseNetwork(underlay);
  const shift = u.length - o.length;
  const hostPart = (u.address & ~u.mask) >>> 0;
  const slice = (o.address | (hostPart << shift)) >>> 0;
  const text = [
    `host     ${underlay}: the bits beyond /${u.length} are ${formatAddress(hostPart)}`,
    `slice    ${formatAddress(o.address)} | ${formatAddress(hostPart)} << ${shift} = ${formatAddress(slice)}/${o.length + 32 - u.length}`,
  ].join('\n');
  return { slice: `${formatAddress(slice)}/${o.length + 32 - u.length}`, text };
}

/** From a container's address to the host that has it. */
export function explainHost(
  overlay: string,
  underlay: string,
  container: string,
): { host: string; text: string } {
  const o = parseNetwork(overlay);
  const u = parseNetwork(underlay);
  const address = parseNetwork(container).address;
  const shift = u.length - o.length;
  const inside = (address & ~o.mask) >>> 0;
  const host = formatAddress(((u.address & u.mask) | (inside >>> shift)) >>> 0);
  const text = `back     ${container}: ${formatAddress(inside)} >> ${shift} = ${formatAddress(inside >>> shift)}, so host ${host}`;
  return { host, text };
}
