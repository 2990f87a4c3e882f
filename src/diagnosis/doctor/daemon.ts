/** Checks of fand and of what it recorded. */
import { access } from 'node:fs/promises';
import type { UpRequest } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import { OWN_ALIAS } from '../../host/links.js';
import { type Check, FIX, fail, ok } from './finding.js';

export const fandDead: Check = {
  name: 'fand-dead',
  severity: 'critical',
  async examine({ status, silence, fans, served, paths, isElsewhere }) {
    const [fan] = fans;
    if (silence !== '') return [fail(silence, `kill -9 $(cat ${paths.pid}); ${FIX}`)];
    if (!status) {
      if (!fan) return [ok('no fand runs, and no fan needs one')];
      const evidence = `no fand answers on ${paths.socket}, and ${fans.length} fans stand on the host`;
      return [fail(evidence, upLine(fan.request), { revive: fan.request })];
    }
    if (isElsewhere) {
      const evidence = `the fand in ${paths.dir} (pid ${status.pid}) serves another network namespace`;
      return [fail(evidence, 'export UFAN_RUN_DIR=DIRECTORY_OF_THIS_HOST')];
    }
    const lost = await access(paths.state).then(
      () => false,
      () => true,
    );
    if (!lost || served === 0) return [ok(`fand ${status.version} answers, pid ${status.pid}`)];
    const evidence = `fand answers, pid ${status.pid}, but ${paths.state} was removed: it cannot be restored after a crash`;
    return [fail(evidence, 'fanctl down -e, and each fan up again')];
  },
};

export const fanDead: Check = {
  name: 'fan-dead',
  severity: 'critical',
  async examine({ status, fans }) {
    // That it must run first is said above.
    if (!status) return [];
    return fans.map(({ view, request, plan }) => {
      const { bridge } = view;
      if (view.state !== 'dead') return ok(`${bridge} is up`);
      const evidence = `${bridge} is dead: its TUN ${plan.tun} broke, or could not be restored`;
      return { ...fail(evidence, upLine(request), { revive: request }), bridge };
    });
  },
};

export const stateLost: Check = {
  name: 'state-lost',
  severity: 'major',
  async examine(patient) {
    const marked = (await patient.links()).filter((link) => link.alias === OWN_ALIAS).map(({ name }) => name);
    const known = namesOf(patient.fans);
    // An `up` that began since, or is under way, has put them into the record before it made them.
    const recorded = marked.every((name) => known.has(name)) ? known : namesOf(await patient.servedNow());
    const stray = marked.filter((name) => !known.has(name) && !recorded.has(name));
    if (stray.length === 0) return [ok(`every device of ufan belongs to a fan of ${patient.paths.dir}`)];
    const fix = `the fan's "fanctl up" adopts it, or: ${stray.map((name) => `ip link delete dev ${name}`).join('; ')}`;
    return [fail(`${stray.join(', ')} of ufan belongs to no fan that ${patient.paths.dir} knows`, fix)];
  },
};

function upLine({ overlay, underlay }: UpRequest): string {
  return `fanctl up ${overlay} ${underlay}`;
}

function namesOf(fans: readonly FanRecord[]): Set<string> {
  return new Set(fans.flatMap(({ plan }) => [plan.bridge, plan.tun, plan.vxlanDevice ?? plan.tun]));
}
