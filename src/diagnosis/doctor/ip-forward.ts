/** ip-forward-off: the host does not forward, or not from the fan's devices. */
import { readSysctl } from '../../host/sysctl.js';
import { type Check, fail, ok } from './finding.js';

const IP_FORWARD = 'ipv4/ip_forward';

export const ipForwardOff: Check = {
  name: 'ip-forward-off',
  severity: 'critical',
  async examine({ fans }) {
    if (fans.length === 0) return [];
    const value = await readSysctl(IP_FORWARD);
    if (value !== '1') {
      const evidence = `net.ipv4.ip_forward is ${value}`;
      return [fail(evidence, 'sysctl -w net.ipv4.ip_forward=1', { repairs: ['forwarding'] })];
    }
    const devices = fans.flatMap(({ plan }) => [plan.bridge, plan.tun]);
    const found = await Promise.all(devices.map(examineDevice));
    return [ok('net.ipv4.ip_forward is 1'), ...found];
  },
};

async function examineDevice(device: string) {
  const setting = `ipv4/conf/${device}/forwarding`;
  if ((await readSysctl(setting)) !== '0') return ok(`${device} forwards`);
  // A device's name may hold dots, which sysctl(8) would take for its own.
  const fix = `echo 1 > /proc/sys/net/${setting}`;
  return fail(`forwarding of ${device} is 0`, fix, { setting, value: '1' });
}
