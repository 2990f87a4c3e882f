/**
 * Statements of nftables that translate addresses (libnftables-json(5): "snat", "dnat", "masquerade", "redirect"), and
 * the targets of iptables-nft that do, whose addresses only the text of the rule has.
 */
import type { Json } from './nft-match.js';
import type { Translation } from './packet-verdict.js';

/** Of iptables, old and new. */
export const NAT_TARGETS: readonly string[] = ['SNAT', 'MASQUERADE', 'DNAT', 'REDIRECT', 'NETMAP'];
/** Statements that have no address of their own. */
const TO_DEVICE = ['masquerade', 'redirect'];
const TO_ADDRESS = { snat: 'saddr', dnat: 'daddr' } as const;
const TEXT = /\b[sd]nat to ([\d.]+)/;

/** Undefined for a statement that is none. `text` is the whole rule's. */
export function translationOf(statement: Json, text: string): Translation | undefined {
  if (TO_DEVICE.some((key) => key in statement)) return {};
  for (const key of ['snat', 'dnat'] as const) {
    if (key in statement) return toAddress(statement[key] as Json, TO_ADDRESS[key]);
  }
  const { type, name } = (statement.xt ?? {}) as Json;
  if (type !== 'target' || !NAT_TARGETS.includes(String(name))) return undefined;
  const [, to] = TEXT.exec(text) ?? [];
  return to === undefined ? {} : { to };
}

/** The map in which a rule finds the new address. */
export function natMapOf(expr: readonly Json[]): Json | undefined {
  const found = expr.map(({ snat, dnat }) => ((snat ?? dnat ?? {}) as Json).addr);
  for (const addr of found) {
    const { map } = (typeof addr === 'object' && addr !== null ? addr : {}) as Json;
    if (map !== undefined) return map as Json;
  }
  return undefined;
}

function toAddress({ addr }: Json, own: string): Translation {
  // Without an address only the port is another one.
  if (addr === undefined) return { keeps: true };
  if (typeof addr === 'string') return { to: addr };
  const { payload, range, prefix } = addr as Json;
  const { protocol, field } = (payload ?? {}) as Json;
  if (protocol === 'ip' && field === own) return { keeps: true };
  if (Array.isArray(range)) return { to: `one of ${range.join('-')}` };
  const { addr: base, len } = (prefix ?? {}) as Json;
  return { to: base === undefined ? 'an address of a map' : `one of ${base}/${len}` };
}
