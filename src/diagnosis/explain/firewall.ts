/**
 * What the firewall of this host does to the packet that `fanctl explain` is asked about, by what doctor's checks know of
 * hooks: between bridge and TUN (doctor/inner-drops.ts), and to IP-in-IP on the underlay (doctor/outer-drops.ts).
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import type { Prefix } from '../../addr/prefix.js';
import type { HostVerdict } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import type { BaseChain } from '../../host/firewall/packet-verdict.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import type { Finding } from '../doctor/finding.js';
import { findWayDrop, forwardedState, type Way } from '../doctor/inner-drops.js';
import { examineIn, examineOut } from '../doctor/outer-drops.js';
import { findWayRewrite } from '../doctor/overlay-nat.js';
import type { Leg } from './inner-way.js';

export interface Passage {
  /** Where the packet is surely dropped. */
  readonly stop?: { readonly verdict: HostVerdict; readonly why: string };
  /** Where only some packets are, or perhaps. */
  readonly note?: string;
}

/** Between the devices of a packet that is forwarded; another meets no FORWARD chain. */
export function passInner(bases: readonly BaseChain[], { plan }: FanRecord, leg: Leg): Passage {
  if (leg.input === undefined) return {};
  const found = findWayDrop(bases, {
    input: leg.input,
    output: leg.towards === 'tun' ? plan.tun : plan.bridge,
    source: addressOf(leg.source),
    destination: addressOf(leg.destination),
    direction: leg.towards === 'tun' ? 'out' : 'in',
    state: stateOn(plan, leg.input),
  });
  return found ? passage('forward-drop', found.finding, found.isWhole) : {};
}

/** What NAT makes of it: who the receiver takes for its sender, or where else it goes. */
export function translateInner(bases: readonly BaseChain[], { plan }: FanRecord, leg: Leg): Passage {
  const isOut = leg.towards === 'tun';
  const found = findWayRewrite(bases, plan, {
    ...(leg.input === undefined ? {} : { input: leg.input }),
    output: isOut ? plan.tun : plan.bridge,
    source: addressOf(leg.source),
    destination: addressOf(leg.destination),
    direction: isOut ? 'out' : 'in',
    state: stateOn(plan, leg.input),
  });
  if (!found) return {};
  const { rewrite, to, names, isWhole } = found;
  const becomes =
    rewrite.end === 'source'
      ? `${leg.destination} sees ${to} instead of ${leg.source}`
      : `it goes to ${to} instead of ${leg.destination}`;
  const why = `${becomes}: ${names === 'packets' ? '' : `${names} `}rewritten by ${rewrite.by}`;
  if (rewrite.isSure && isWhole) return { stop: { verdict: 'overlay-nat', why } };
  return { note: `overlay-nat, ${rewrite.isSure ? '' : 'perhaps '}${why}` };
}

/** What comes by another device than the fan's is tracked. */
function stateOn(plan: FanPlan, input: string | undefined): Way['state'] {
  return input === plan.bridge || input === plan.tun ? forwardedState(plan) : 'new';
}

/** As an outer packet to or from an underlay host. */
export function passOuter(
  bases: readonly BaseChain[],
  fan: FanRecord,
  direction: 'out' | 'in',
  host: string,
): Passage {
  const examine = direction === 'out' ? examineOut : examineIn;
  const finding = examine(bases, fan, addressOf(host));
  // One of less severity loses some packets only.
  const verdict = fan.plan.vxlan ? 'udp-blocked' : 'protocol-4-blocked';
  return passage(verdict, finding, finding.severity === undefined);
}

function passage(verdict: HostVerdict, { status, evidence }: Finding, isWhole: boolean): Passage {
  if (status === 'ok') return {};
  if (status === 'fail' && isWhole) return { stop: { verdict, why: evidence } };
  return { note: `${verdict}, ${evidence}` };
}

function addressOf(text: string): Prefix {
  return { base: parseAddress(text), length: 32 };
}
