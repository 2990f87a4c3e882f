/**
 * Would NAT of this host change an address of this packet? Of all chains of type nat at a hook, nftables' and the old
 * iptables', the kernel asks one after the other, by priority, until one translates: that one's word holds for the
 * connection (nf_nat_inet_fn). So a rule that translates an address to itself keeps it from all later chains.
 */
import { type BaseChain, type PacketKind, pass, type Translation } from './packet-verdict.js';

const OF_SOURCES = ['postrouting', 'input'];

export interface Rewrite extends Translation {
  readonly end: 'source' | 'destination';
  /** "chain ip nat POSTROUTING (rule handle 8)" */
  readonly by: string;
  /** The chain that the kernel called. */
  readonly base: BaseChain;
  /** False where it is so of some packets only, or perhaps. */
  readonly isSure: boolean;
}

/** The translation of the packet at `hook`; undefined where it keeps its addresses. */
export function findRewrite(
  bases: readonly BaseChain[],
  hook: string,
  packet: PacketKind,
): Rewrite | undefined {
  const chains = bases
    .filter((base) => base.type === 'nat' && base.hook === hook)
    .sort((a, b) => a.priority - b.priority);
  const end = OF_SOURCES.includes(hook) ? 'source' : 'destination';
  let perhaps: Rewrite | undefined;
  for (const base of chains) {
    const { outcome, doubt } = pass(base, packet);
    if (doubt.nat && !doubt.nat.translation.keeps) {
      perhaps ??= { ...doubt.nat.translation, end, by: doubt.nat.by, base, isSure: false };
    }
    if (outcome.kind === 'drop') return undefined;
    if (outcome.kind !== 'nat') continue;
    if (outcome.translation.keeps) return perhaps;
    const isSure = !doubt.isThere && perhaps === undefined;
    return perhaps ?? { ...outcome.translation, end, by: outcome.by, base, isSure };
  }
  return perhaps;
}
