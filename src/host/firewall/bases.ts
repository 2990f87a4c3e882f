/** The base chains of this host's firewall, of nftables and of the old iptables: what packet-verdict.ts follows. */
import { readLegacyBases } from './legacy-verdict.js';
import { readNftBases } from './nft-verdict.js';
import type { BaseChain } from './packet-verdict.js';

export async function readFirewall(): Promise<BaseChain[]> {
  return [...(await readNftBases()), ...(await readLegacyBases())];
}
