/**
 * dhcp-dead: the dnsmasq of a fan with DHCP is not there, or serves something else than it was told.
 * names-dead: fand does not answer for names at the gateway of a fan with dns.
 */
import { Resolver } from 'node:dns/promises';
import { NAME_DOMAIN, NAME_PORT } from '../../base/name-port.js';
import { ownerLabel } from '../../fan/owner-name.js';
import { type DhcpData, findServer, isWithoutDns } from '../../host/steps/dhcp-step.js';
import { type Check, FIX, fail, ok } from './finding.js';

/** fand may be at something else for a moment. */
const NAMES_PATIENCE_MS = 2000;

export const dhcpDead: Check = {
  name: 'dhcp-dead',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan, steps }) => {
      const step = steps.find(({ kind }) => kind === 'dhcp');
      if (!step) return ok(`${plan.bridge} has no DHCP`);
      const data = step.data as unknown as DhcpData;
      const server = await findServer(data);
      if (!server) return fail(`no dnsmasq serves ${plan.bridge}`, FIX, { repairs: ['dhcp'] });
      const what = `dnsmasq (pid ${server.pid}) serves ${plan.bridge} and no other device`;
      if (server.serves === 'dhcp and dns') return ok(what);
      if (!(await isWithoutDns(server, data)))
        return ok(`${what}; DNS at ${data.gateway} is left to the program that has its port`);
      const evidence = `nobody answers DNS at ${data.gateway}: the program that had its port is gone`;
      return fail(evidence, FIX, { repairs: ['dhcp'] });
    }),
};

export const namesDead: Check = {
  name: 'names-dead',
  severity: 'minor',
  examine: (patient) =>
    patient.eachFan(async ({ plan, view: { gateway } }) => {
      if (!plan.dns) return ok(`${plan.bridge} has no names of other hosts`);
      const at = `${gateway} port ${NAME_PORT}`;
      if (await answersNames(gateway, ownerLabel(plan.mapping.slice)))
        return ok(`names are answered at ${at}`);
      return fail(`nobody answers for names at ${at}`, 'fanctl restart');
    }),
};

/** Asked for a container of its own that hardly is there: that there is none is an answer. */
async function answersNames(gateway: string, label: string): Promise<boolean> {
  const resolver = new Resolver({ timeout: NAMES_PATIENCE_MS, tries: 1 });
  resolver.setServers([`${gateway}:${NAME_PORT}`]);
  try {
    await resolver.resolve4(`doctor.${label}.${NAME_DOMAIN}`);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTFOUND';
  }
}
