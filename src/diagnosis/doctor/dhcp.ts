/** dhcp-dead: the dnsmasq of a fan with DHCP is not there, or serves something else than it was told. */
import { type DhcpData, findServer, isWithoutDns } from '../../host/steps/dhcp-step.js';
import { type Check, FIX, fail, ok } from './finding.js';

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
