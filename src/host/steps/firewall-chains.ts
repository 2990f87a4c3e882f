/**
 * Which chains of the host's firewall could drop a fan's packets. An accept in a table of ours would not help: every
 * base chain of a hook has its say, and one drop is final. So the rules must stand at the top of those chains.
 *
 * Pure, over the parsed ruleset. It errs on the side of "could": an accept too many is harmless, and is taken away.
 */
import { isOwnTable, type NftChain, type NftRule, type Ruleset } from '../firewall/nft.js';

export type Hook = 'forward' | 'input';

/** Docker leaves this chain's rules alone for ever and jumps to it first, whatever it does to FORWARD later. */
const DOCKER_USER = 'DOCKER-USER';
/** Targets that nft shows only by name, in rules that an old iptables-nft made. */
const DROPPING_TARGETS = ['DROP', 'REJECT'];

/** The chains in whose first place an accept is needed for packets that pass `hook`. */
export function chainsThatDrop(ruleset: Ruleset, hook: Hook): NftChain[] {
  const bases = ruleset.chains.filter(
    (chain) => isIpv4Filter(chain) && chain.hook === hook && !isOwnTable(chain.table),
  );
  const dropping = bases.filter((chain) => chain.policy === 'drop' || reachesDrop(ruleset, chain));
  if (hook === 'input') return dropping;
  const docker = ruleset.chains.filter(
    (chain) => chain.name === DOCKER_USER && dropping.some((base) => inSameTable(base, chain)),
  );
  return [...dropping, ...docker];
}

function isIpv4Filter(chain: NftChain): boolean {
  return chain.type === 'filter' && (chain.family === 'ip' || chain.family === 'inet');
}

/** Whether a rule of the chain, or of one that it leads to, drops or rejects anything. */
function reachesDrop(ruleset: Ruleset, base: NftChain): boolean {
  const seen = new Set<string>();
  const open = [base.name];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const rules = ruleset.rules.filter((rule) => inSameTable(base, rule) && rule.chain === name);
    if (rules.some(mayDrop)) return true;
    open.push(...rules.flatMap(targetsOf));
  }
  return false;
}

function inSameTable(a: NftChain, b: { family: string; table: string }): boolean {
  return a.family === b.family && a.table === b.table;
}

function mayDrop(rule: NftRule): boolean {
  return nodesOf(rule.expr).some(
    ([key, value]) =>
      key === 'drop' || key === 'reject' || isDroppingTarget(key, value) || isNamedMap(key, value),
  );
}

function isDroppingTarget(key: string, value: unknown): boolean {
  if (key !== 'xt' || typeof value !== 'object' || value === null) return false;
  const { type, name } = value as { type?: unknown; name?: unknown };
  return type === 'target' && typeof name === 'string' && DROPPING_TARGETS.includes(name);
}

/** A verdict map that stands elsewhere (`vmap @name`) may hold any verdict. */
function isNamedMap(key: string, value: unknown): boolean {
  if (key !== 'vmap') return false;
  const { data } = value as { data?: unknown };
  return typeof data === 'string';
}

function targetsOf(rule: NftRule): string[] {
  return nodesOf(rule.expr)
    .filter(([key]) => key === 'jump' || key === 'goto')
    .map(([, value]) => (value as { target?: string }).target ?? '');
}

/** Every key with its value, at any depth: verdicts also stand inside verdict maps. */
function nodesOf(node: unknown): [string, unknown][] {
  if (typeof node !== 'object' || node === null) return [];
  if (Array.isArray(node)) return node.flatMap(nodesOf);
  return Object.entries(node).flatMap(([key, value]) => [
    [key, value] as [string, unknown],
    ...nodesOf(value),
  ]);
}
