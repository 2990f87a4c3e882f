/** dhcp-dead: the dnsmasq of a fan with DHCP is not there, or serves something else than it was told. */
import { type DhcpData, findServer } from '../../host/steps/dhcp-step.js';
import { type Check, FIX, fail, ok } from './finding.js';

export const dhcpDead: Check = {
  name: 'dhcp-dead',
  severity: 'major',
  examine: (patient) =>
    patient.eachFan(async ({ plan, steps }) => {
      const step = steps.find(({ kind }) => kind === 'dhcp');
      if (!step) return ok(`${plan.bridge} has no DHCP`);
      const pid = await findServer(step.data as unknown as DhcpData);
      if (pid !== undefined) return ok(`dnsmasq (pid ${pid}) serves ${plan.bridge} and no other device`);
      return fail(`no dnsmasq serves ${plan.bridge}`, FIX, { repairs: ['dhcp'] });
    }),
};
