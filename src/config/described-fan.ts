/** A fan that need not be up, from its words: "250.0.0.0/8 172.30.0.28/16", or the same with "vxlan" and what belongs to it. */
import { FanError } from '../base/error.js';
import type { VxlanTerms } from '../fan/encapsulation.js';
import { createMapping, type FanMapping } from '../fan/mapping.js';
import { parseFanLine } from './fan-line.js';
import { vxlanTermsOf } from './vxlan-terms.js';

export interface DescribedFan {
  readonly mapping: FanMapping;
  readonly vxlan: VxlanTerms | undefined;
}

/** Throws FanError; the underlay must be an address, as no host is asked. */
export function readDescribedFan(text: string): DescribedFan {
  const { overlay, underlay, options } = parseFanLine(text.split(/\s+/).filter((word) => word !== ''));
  if (underlay.kind !== 'address') {
    throw new FanError('usage', '--fan needs the underlay as an address and width, such as 172.30.0.28/16');
  }
  const mapping = createMapping(overlay, underlay.address, underlay.length);
  return { mapping, vxlan: vxlanTermsOf(options, mapping.overlay) };
}
