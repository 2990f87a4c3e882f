/** offloads-off: what makes a fan slow. Segmentation at the TUN, merging at the underlay device, as ethtool(8) has them. */
import { FanError } from '../../base/error.js';
import { run } from '../../host/run.js';
import { type Check, type Finding, ok, warn } from './finding.js';

const NEEDED_AT_TUN = ['tx-checksumming', 'tcp-segmentation-offload'];
const MERGING = 'generic-receive-offload';

export const offloadsOff: Check = {
  name: 'offloads-off',
  severity: 'minor',
  examine: (patient) =>
    patient.eachFan(async ({ plan, view }): Promise<Finding[]> => {
      const link = await patient.link(plan.underlayDevice);
      const isReal = link?.kind === '';
      return [
        ...(view.state !== 'dead' ? [await examineTun(plan.tun)] : []),
        ...(isReal ? [await examineUnderlay(plan.underlayDevice)] : []),
      ];
    }),
};

async function examineTun(tun: string): Promise<Finding> {
  const off = (await featuresOff(tun)).filter((feature) => NEEDED_AT_TUN.includes(feature));
  if (off.length === 0) return ok(`${tun} takes bursts in one piece`);
  return warn(
    `${tun}: ${off.join(', ')} off, each packet is read by itself`,
    off.map((feature) => `ethtool -K ${tun} ${shortOf(feature)} on`).join('; '),
  );
}

async function examineUnderlay(device: string): Promise<Finding> {
  if (!(await featuresOff(device)).includes(MERGING)) return ok(`${device} merges what it receives`);
  return warn(`${device}: ${MERGING} off, each packet is received by itself`, `ethtool -K ${device} gro on`);
}

/** Nothing where ethtool is missing: it is not needed for a fan. */
async function featuresOff(device: string): Promise<string[]> {
  try {
    const text = await run('ethtool', ['-k', device]);
    return [...text.matchAll(/^([\w-]+): off/gm)].map((match) => match[1]!);
  } catch (error) {
    if (error instanceof FanError) return [];
    throw error;
  }
}

function shortOf(feature: string): string {
  return feature === 'tx-checksumming' ? 'tx' : 'tso';
}
