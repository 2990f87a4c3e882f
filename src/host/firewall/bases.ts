/** The base chains of this host's firewall, of nftables and of the old iptables: what packet-verdict.ts follows. */
import { readLegacyBases } from './legacy-verdict.js';
import { type Ruleset, readRuleset } from './nft.js';
import { readNftBases } from './nft-verdict.js';
import type { BaseChain } from './packet-verdict.js';

/** `known`: the ruleset of nftables, where it was read already. */
export async function readFirewall(known?: Ruleset): Promise<BaseChain[]> {
  return [...(await readNftBases(known ?? (await readRuleset()))), ...(await readLegacyBases())];
}
