/**
 * Checks of the counters, which are watched for a moment: forged senders, full queues, and whether they make sense.
 */
import { type Check, type Finding, fail, ok, warn } from './finding.js';

const FORGED = 'drop-source-forged-packets';
/** What came so long ago may well come again. */
const RECENT_MS = 60_000;
/** So many while the counters are watched: they keep arriving. One may be a stray. */
const SEVERAL = 2;

/** Each with what fills it. */
const QUEUES: readonly (readonly [string, string])[] = [
  ['drop-socket-overflow-packets', 'more comes in than one core takes'],
  ['drop-tun-overflow-packets', 'containers send more than one core takes'],
];

export const forgedSource: Check = {
  name: 'forged-source',
  severity: 'major',
  asksFand: true,
  async examine(patient) {
    const { before, after } = await patient.stats();
    const offenders = await patient.offenders();
    return after.fans.map(({ bridge, counters, overlay, underlay }): Finding => {
      const total = counters[FORGED] ?? 0;
      const now = total - (before.fans.find((fan) => fan.bridge === bridge)?.counters[FORGED] ?? 0);
      const last = offenders.find((one) => one.bridge === bridge && one.reason === 'source-forged');
      if (now === 0 && (!last || last.ageMs > RECENT_MS)) {
        return ok(`${bridge} dropped ${total} packets of forged senders, none just now`);
      }
      const from = last ? `, the last one from ${last.address}` : '';
      const evidence = `${bridge} drops packets whose inner source maps to another host: ${now} just now, ${total} in all${from}`;
      const width = underlay.slice(underlay.indexOf('/'));
      const fix = `on ${last?.address ?? 'the sender'}: fanctl show (it must have ${overlay} on ${width}), or stop what forges them`;
      return { ...(now < SEVERAL ? warn(evidence, fix) : fail(evidence, fix)), direction: 'in', bridge };
    });
  },
};

export const overflow: Check = {
  name: 'queue-overflow',
  severity: 'minor',
  asksFand: true,
  async examine(patient) {
    const { before, after } = await patient.stats();
    const sets = [
      { name: 'the host', now: after.host.counters, old: before.host.counters },
      ...after.fans.map(({ bridge, counters }) => {
        const old = before.fans.find((fan) => fan.bridge === bridge)?.counters ?? {};
        return { name: bridge, now: counters, old };
      }),
    ];
    const growing = sets.flatMap(({ name, now, old }) =>
      QUEUES.flatMap(([counter, why]): Finding[] => {
        const grown = (now[counter] ?? 0) - (old[counter] ?? 0);
        if (grown <= 0) return [];
        return [warn(`${counter} of ${name} grew by ${grown} just now: ${why}`, 'fanctl stats')];
      }),
    );
    return growing.length > 0 ? growing : [ok('no queue overflows')];
  },
};

export const countersWrong: Check = {
  name: 'counters-wrong',
  severity: 'minor',
  asksFand: true,
  async examine(patient) {
    const { before, after } = await patient.stats();
    const shrunk = after.fans.flatMap(({ bridge, counters }) => {
      const old = before.fans.find((fan) => fan.bridge === bridge)?.counters ?? {};
      return Object.entries(counters).filter(([name, value]) => value < (old[name] ?? 0));
    });
    if (shrunk.length === 0) return [ok('counters only grow')];
    const names = shrunk.map(([name]) => name).join(', ');
    return [warn(`${names} shrank while they were watched: fand or a fan was restarted`, 'fanctl doctor')];
  },
};
