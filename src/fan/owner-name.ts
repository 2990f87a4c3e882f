/**
 * Names by which arithmetic tells who knows a container: `web.250-0-28.fan` is web on the host whose slice is
 * 250.0.28.0/24, and 2.28.0.250.in-addr.arpa (RFC 1035 §3.5) is an address of it. A bare `web.fan` tells nobody.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { contains, type Prefix } from '../addr/prefix.js';
import { type FanMapping, underlayHostOf } from './mapping.js';

/** What a question is about, and the underlay address of the host that knows, u32; undefined where any may. */
export type Asked =
  | { readonly kind: 'name'; readonly name: string; readonly owner: number | undefined }
  | { readonly kind: 'address'; readonly address: number; readonly owner: number };

const REVERSE = '.in-addr.arpa';
/** One label: letters, digits, - and _ (RFC 1035 §2.3.1; dnsmasq takes an underscore from clients, too). */
const LABEL = /^[a-z0-9_-]{1,63}$/;
const OCTET_BITS = 8;

/** "250-0-28" for 250.0.28.0/24: its address up to the last octet that the prefix covers, as in the bridge's name. */
export function ownerLabel({ base, length }: Prefix): string {
  return formatAddress(base)
    .split('.')
    .slice(0, Math.ceil(length / OCTET_BITS))
    .join('-');
}

/** Reads the name of a question, in either case, without or with `domain` behind; undefined for one that no fan has. */
export function readAsked(mapping: FanMapping, domain: string, text: string): Asked | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  if (name.endsWith(REVERSE)) {
    const address = addressOf(name.slice(0, -REVERSE.length).split('.').reverse(), true);
    if (address === undefined || !contains(mapping.overlay, address)) return undefined;
    return { kind: 'address', address, owner: underlayHostOf(mapping, address) };
  }
  const labels = name.split('.');
  if (labels.length > 1 && labels.pop() !== domain) return undefined;
  const [container = '', label, ...rest] = labels;
  if (!LABEL.test(container) || rest.length > 0) return undefined;
  if (label === undefined) return { kind: 'name', name: container, owner: undefined };
  const inside = addressOf(label.split('-'), false);
  if (inside === undefined || !contains(mapping.overlay, inside)) return undefined;
  return { kind: 'name', name: container, owner: underlayHostOf(mapping, inside) };
}

/** "2.28.0.250.in-addr.arpa" for 250.0.28.2. */
export function reverseName(address: number): string {
  return formatAddress(address).split('.').reverse().join('.') + REVERSE;
}

/** The zones that hold the reverse names of `prefix` and no others but of its last octet: one, or at most 128. */
export function reverseZones({ base, length }: Prefix): string[] {
  const octets = Math.max(1, Math.ceil(length / OCTET_BITS));
  const step = 2 ** (32 - octets * OCTET_BITS);
  const zones = Array.from({ length: 2 ** (octets * OCTET_BITS - length) }, (_, i) => base + i * step);
  return zones.map((zone) => {
    const labels = formatAddress(zone >>> 0)
      .split('.')
      .slice(0, octets)
      .reverse();
    return labels.join('.') + REVERSE;
  });
}

/** Of its octets in decimal; those that are left out are 0, unless `whole`. */
function addressOf(octets: readonly string[], whole: boolean): number | undefined {
  const most = 4;
  if (octets.length > most || (whole && octets.length < most)) return undefined;
  let address = 0;
  for (let i = 0; i < most; i++) {
    const octet = octets[i] ?? '0';
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    address = address * 256 + Number(octet);
  }
  return address;
}
