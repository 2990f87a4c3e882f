/** What the options of a fan over VXLAN come to, with what follows from the overlay where they say nothing. */
import type { Prefix } from '../addr/prefix.js';
import { DEFAULT_VXLAN_PORT, defaultVni, type VxlanTerms } from '../fan/encapsulation.js';
import type { FanOptions } from './fan-options.js';

/** Undefined for IP-in-IP. */
export function vxlanTermsOf(options: Readonly<FanOptions>, overlay: Prefix): VxlanTerms | undefined {
  if (options.type !== 'vxlan') return undefined;
  const { vni = defaultVni(overlay), port = DEFAULT_VXLAN_PORT, layer2 } = options;
  return { vni, port, layer2 };
}
