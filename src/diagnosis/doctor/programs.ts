/** programs-detached: a program of ours in the kernel that somebody took from its device. What it did, fand does, slower; not decap of VXLAN. */
import { type Check, FIX, type Finding, fail, ok } from './finding.js';

export const programsDetached: Check = {
  name: 'programs-detached',
  severity: 'minor',
  examine: (patient) =>
    patient.eachFan(async ({ view }): Promise<Finding> => {
      const { detached = [], bridge } = view;
      if (view.state === 'dead' || detached.length === 0) return ok(`${bridge}: every program is attached`);
      const what = detached.join(', ');
      return fail(`${bridge}: somebody detached its programs in the kernel: ${what}`, FIX, {
        repairs: ['programs'],
      });
    }),
};
