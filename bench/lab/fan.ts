/**
 * A fan on a host of the lab, by the command that an operator would type, with the host's containers plugged
 * into its bridge.
 */
import type { FanView } from '../../src/control/protocol.js';
import { formatAddress, parseAddress } from './address.js';
import type { Host } from './host.js';
import { FANCTL } from './repository.js';

export interface RaisedFan {
  view: FanView;
  /** What fanctl printed. */
  printed: string;
}

/**
 * `fanctl up …words`; container j then has the slice's address 1 + j and the gateway as its default route. `wrapper`
 * is a command that runs fanctl, and by it fand: ['setpriv', …].
 */
export async function raiseFan(
  host: Host,
  words: readonly string[],
  wrapper: readonly string[] = [],
): Promise<RaisedFan> {
  const { stdout } = await host.exec([...wrapper, process.execPath, FANCTL, 'up', ...words]);
  const printed = stdout.trim();
  const view = (await showFans(host)).find(({ bridge }) => bridge === printed);
  if (!view)
    throw new Error(`fanctl up ${words.join(' ')} printed ${printed}, but show --json has no such fan`);
  await attachContainers(host, view);
  return { view, printed };
}

export async function showFans(host: Host): Promise<FanView[]> {
  return JSON.parse((await host.fanctl(['show', '--json'])).stdout) as FanView[];
}

/** Plugs all containers of the host into the fan's bridge. */
export async function attachContainers(host: Host, fan: FanView): Promise<void> {
  const { bridge, gateway, mtu, flags } = fan;
  const onLink = flags.split(' ').includes('layer2') ? fan.overlay : fan.slice;
  await Promise.all(
    host.containers.map((container) => {
      const address = `${containerAddress(fan, container.index)}/${onLink.split('/')[1]}`;
      return container.attach({ bridge, address, gateway, mtu });
    }),
  );
}

/** The address of the `index`th container (from 1) in a fan: the one after the gateway, and so on. */
export function containerAddress(fan: Pick<FanView, 'gateway'>, index: number): string {
  return formatAddress(parseAddress(fan.gateway) + index);
}
