/**
 * Step, with the flag `isolate`: nobody on the bridge takes a neighbour's or the gateway's MAC or IPv4 address
 * (isolate-rules.ts has the rules). A table of its own for each fan; what belongs to whom stays where the rules are put back.
 */
import { FanError } from '../../base/error.js';
import { readPorts } from '../bridge-ports.js';
import { changeRuleset, type Ruleset, readRuleset } from '../firewall/nft.js';
import {
  ADDRESSES,
  CHAINS,
  ISOLATE_FAMILY,
  ISOLATE_REASONS,
  type IsolatedFan,
  isolateRules,
  isolateTable,
  MACS,
  PORTS,
  SET_LIMITS,
  SETS,
} from './isolate-rules.js';
import type { StepKind } from './step.js';

export type IsolateData = IsolatedFan;

export const isolateStep: StepKind<IsolateData> = {
  describe: ({ bridge }) => `isolate the ports of ${bridge}`,

  async apply(data) {
    const inTable = tableOf(data);
    await changeRuleset([
      { add: { table: { family: ISOLATE_FAMILY, name: isolateTable(data.key) } } },
      ...ISOLATE_REASONS.map((name) => ({ add: inTable('counter', { name }) })),
      ...SETS.map((set) => ({ add: inTable('set', { ...set, ...SET_LIMITS }) })),
      ...CHAINS.map((chain) => ({ add: inTable('chain', chain) })),
      ...CHAINS.map(({ name }) => ({ flush: inTable('chain', { name }) })),
      ...isolateRules(data).map((rule) => ({ add: inTable('rule', rule) })),
    ]);
    await followPorts(data);
    const missing = missingIsolation(await readRuleset(), data);
    if (missing !== undefined) throw new FanError('step-failed', missing);
  },

  async undo({ key }) {
    const table = { family: ISOLATE_FAMILY, name: isolateTable(key) };
    // Adding first bears its absence.
    await changeRuleset([{ add: { table } }, { delete: { table } }]);
    return undefined;
  },
};

/** What of it is not there, in words. */
export function missingIsolation({ tables, rules }: Ruleset, data: IsolateData): string | undefined {
  const name = isolateTable(data.key);
  const text = `table ${ISOLATE_FAMILY} ${name}`;
  if (!tables.some((table) => table.family === ISOLATE_FAMILY && table.name === name))
    return `${text} is gone`;
  const [want, have] = [
    isolateRules(data).length,
    rules.filter(({ family, table }) => family === ISOLATE_FAMILY && table === name).length,
  ];
  return have >= want ? undefined : `${text} lacks ${want - have} of ${want} rules`;
}

/** Tells the rules which ports the bridge has now, and has them forget what belonged to those that left. Nothing without the table. */
export async function followPorts(data: IsolateData): Promise<void> {
  // A port that is gone has its number in the listing, others their name.
  const there = new Set((await readPorts(data.bridge)).map(({ name }) => name));
  const { sets, tables } = await readRuleset();
  const name = isolateTable(data.key);
  if (!tables.some((table) => table.family === ISOLATE_FAMILY && table.name === name)) return;
  const elements = (set: string): readonly unknown[] =>
    sets.find((each) => each.family === ISOLATE_FAMILY && each.table === name && each.name === set)?.elem ??
    [];
  const known = elements(PORTS).map(String);
  const inTable = tableOf(data);
  const remove = (set: string, elem: readonly unknown[]) =>
    elem.length > 0 ? [{ delete: inTable('element', { name: set, elem }) }] : [];
  const forget = ({ pairs, owners, taken }: typeof MACS | typeof ADDRESSES) => {
    const gone = elements(pairs)
      .map((element) => (element as { concat: [string, string] }).concat)
      .filter(([port]) => !there.has(port));
    return [
      ...remove(
        pairs,
        gone.map((concat) => ({ concat })),
      ),
      ...remove(
        owners,
        gone.map(([port]) => port),
      ),
      ...remove(
        taken,
        gone.map(([, what]) => what),
      ),
    ];
  };
  const added = [...there].filter((port) => !known.includes(port));
  await changeRuleset([
    ...(added.length > 0 ? [{ add: inTable('element', { name: PORTS, elem: added }) }] : []),
    ...remove(
      PORTS,
      known.filter((port) => !there.has(port)),
    ),
    ...forget(MACS),
    ...forget(ADDRESSES),
  ]);
}

function tableOf({ key }: IsolateData) {
  return (kind: string, what: object): object => ({
    [kind]: { family: ISOLATE_FAMILY, table: isolateTable(key), ...what },
  });
}
