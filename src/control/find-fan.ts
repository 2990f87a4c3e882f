/**
 * Which fan the words of an `up` or `down` mean: that of the same words, or of its address as `show` prints it; else the
 * one that they come to on this host now, as eth0/16 and 172.30.0.0/16 may be the same.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { parseUnderlay } from '../config/underlay.js';
import { readDevices } from '../host/links.js';
import { resolveUnderlay } from '../host/underlay.js';
import type { FanView, UpRequest } from './protocol.js';

export interface FanEnds {
  readonly overlay: string;
  readonly underlay: string;
}

/** `ends` in text, as config/ formats them. Throws FanError bad-underlay where the underlay is none. */
export async function findFan<Fan extends { view: FanView; request: UpRequest }>(
  fans: readonly Fan[],
  { overlay, underlay }: FanEnds,
): Promise<Fan | undefined> {
  const candidates = fans.filter(({ view }) => view.overlay === overlay);
  const named = candidates.find(({ view, request }) => [view.underlay, request.underlay].includes(underlay));
  if (named || candidates.length === 0) return named;
  // Without such an address it is no fan's other name.
  const here = await resolveUnderlay(parseUnderlay(underlay), await readDevices()).catch(() => undefined);
  return candidates.find(({ view }) => {
    const [address = '', length] = view.underlay.split('/');
    return here?.address === parseAddress(address) && here.length === Number(length);
  });
}
