/**
 * The steps that both demonstrations share: a fan on each host, the arithmetic, and taking it all down again.
 */
import type { FanView } from '../../src/control/protocol.js';
import type { FanType } from '../../src/fan/encapsulation.js';
import { containerAddress, raiseFan, showFans } from '../lab/fan.js';
import type { Lab } from '../lab/lab.js';
import type { Account } from './account.js';
import { explainHost, explainSlice } from './mapping.js';

export const OVERLAY = '250.0.0.0/8';

/** `fanctl up` on every host, in order. */
export async function raiseFans(account: Account, lab: Lab, type: FanType): Promise<FanView[]> {
  const fans: FanView[] = [];
  const words = [OVERLAY, 'eth0/16', ...(type === 'ipip' ? [] : [type])];
  for (const host of lab.hosts) {
    const fan = await account.step(`host ${host.index} $ fanctl up ${words.join(' ')}`, async (say) => {
      const { view, printed } = await raiseFan(host, words);
      say(printed);
      return view;
    });
    fans.push(fan);
  }
  await account.step('host 1 $ fanctl show', async (say) => {
    say((await lab.host(1).fanctl(['show'])).stdout.trim());
  });
  return fans;
}

/** Computes what fanctl must have set up, and fails where it did not. */
export async function checkMapping(account: Account, fans: readonly FanView[]): Promise<void> {
  await account.step('the mapping: no table, no lookup, only arithmetic', async (say) => {
    for (const fan of fans) {
      const there = explainSlice(OVERLAY, fan.underlay);
      const back = explainHost(OVERLAY, fan.underlay, containerAddress(fan, 1));
      say(`${there.text}\n${back.text}`);
      expect(there.slice, fan.slice, 'the slice that fanctl shows');
      expect(back.host, fan.underlay.split('/')[0], 'the host of a container');
    }
  });
}

export async function takeFansDown(account: Account, lab: Lab, fans: readonly FanView[]): Promise<void> {
  await account.step('both hosts $ fanctl down -e', async (say) => {
    await Promise.all(lab.hosts.map((host) => host.fanctl(['down', '-e', '--force'])));
    for (const [i, host] of lab.hosts.entries()) {
      expect((await showFans(host)).length, 0, `fans left on host ${host.index}`);
      const { stdout } = await host.exec(['ip', '-br', 'link']);
      if (stdout.includes(fans[i]?.bridge ?? '')) throw new Error(`the bridge is still there:\n${stdout}`);
    }
    say('bridges, TUNs and routes are gone');
  });
}

export function expect(found: unknown, wanted: unknown, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, expected ${wanted}`);
}
