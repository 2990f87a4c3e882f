/**
 * Checks of the counters, which are watched for a moment: forged senders, what the guard drops, full queues, and whether they make sense.
 */
import { GUARD_REASONS, type GuardReason } from '../../host/firewall/guard.js';
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

/** Who sends what the guard drops, and what is to be done about it. */
const ASTRAY: Readonly<Record<GuardReason, string>> = {
  'overlay-source-astray':
    'stop what forges them; of a container with two networks: let its fan address leave by the fan alone',
  'bridge-source':
    'find the container that sends from addresses that are not its own; one that routes for others needs the flag foreign-sources',
  'container-tunnel': 'find the container that sends IP-in-IP: within a fan there is none',
  'tunnel-astray':
    "stop what forges them; of a peer with a second path to this host: let its packets come by the underlay's device",
  'outer-not-unicast': 'find the host that sends IP-in-IP in broadcast or multicast frames: no fan does',
  'outer-source-local':
    "find the host that sends IP-in-IP in this host's own name: a second host has its address, or somebody forges",
  'outer-options': 'find the host that sends IP-in-IP with a source route, or another option: no fan does',
  'source-unroutable': 'stop what forges them, or give this host a route to the sender',
  'local-mac':
    'find the host whose containers have MAC addresses of containers here, or stop what forges them',
  'service-astray': 'ask another server: this one is for the containers on its bridge',
};

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

export const guardDrops: Check = {
  name: 'guard-drops',
  severity: 'minor',
  asksFand: true,
  async examine(patient) {
    const { before, after } = await patient.stats();
    return after.fans.flatMap(({ bridge, counters }): Finding[] => {
      const old = before.fans.find((fan) => fan.bridge === bridge)?.counters ?? {};
      const growing = GUARD_REASONS.flatMap((reason): Finding[] => {
        const counter = `drop-${reason}-packets`;
        const grown = (counters[counter] ?? 0) - (old[counter] ?? 0);
        if (grown <= 0) return [];
        const evidence = `the guard of ${bridge} drops ${reason} packets: ${grown} just now, ${counters[counter]} in all`;
        return [warn(evidence, ASTRAY[reason])];
      });
      return growing.length > 0 ? growing : [ok(`the guard of ${bridge} drops nothing just now`)];
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
