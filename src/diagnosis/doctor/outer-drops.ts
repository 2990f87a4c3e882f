/**
 * protocol-4-blocked, and udp-blocked of a fan over VXLAN: does the firewall drop the fan's packets on the underlay? Which hooks they pass depends on the io
 * (measured, with counters at each):
 *
 *            in: ingress  prerouting, input      out: output, postrouting   egress
 *   raw          all      all                         all                   all
 *   packet       all      none that count             what can't be framed  all
 *   bpf          all      none that count             what can't be framed  all
 *
 * A packet can't be framed while its peer's neighbour is unknown, and only packets make it known: so a drop at output
 * loses all of a peer that was silent for a while in io packet. In io bpf the kernel resolves by itself. Its
 * redirection passes by the egress chains of the device (sch_handle_egress); while there are such, fand sends all.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, type Prefix } from '../../addr/prefix.js';
import type { FanRecord } from '../../control/state-store.js';
import type { BaseChain, PacketKind } from '../../host/firewall/packet-verdict.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import { dropAmong, judged, surest } from './drop-finding.js';
import { type Check, type Finding, ok, warn } from './finding.js';
import type { Patient } from './patient.js';

const IPIP = 4;
const UDP = 17;
const LOCAL_OUT = ['output', 'postrouting'];
const NOT_RESOLVED =
  'io packet sends what it has no neighbour for by there, so a peer that was silent for a while is not reached';
const LEFT_TO_FAND =
  'io bpf passes by it, but for what the kernel program leaves to fand (a narrower path, IP options, traced packets)';

export const protocol4Blocked: Check = {
  name: 'protocol-4-blocked',
  severity: 'critical',
  examine: (patient) => patient.eachFan(async (fan) => (fan.plan.vxlan ? [] : examineFan(patient, fan))),
};

export const udpBlocked: Check = {
  name: 'udp-blocked',
  severity: 'critical',
  examine: (patient) => patient.eachFan(async (fan) => (fan.plan.vxlan ? examineFan(patient, fan) : [])),
};

async function examineFan(patient: Patient, fan: FanRecord): Promise<Finding[]> {
  const bases = await patient.firewall();
  const { address, underlay } = fan.plan.mapping;
  const found: Finding[] = [
    { ...examineIn(bases, fan, underlay), direction: 'in' },
    { ...examineOut(bases, fan, underlay), direction: 'out' },
  ];
  const wrong = found.filter(({ status }) => status !== 'ok');
  if (wrong.length > 0) return wrong;
  return [
    ok(
      `no chain drops ${kindOf(fan.plan).name} between ${formatAddress(address)} and ${formatPrefix(underlay)}`,
    ),
  ];
}

/** What comes from `peers`. */
export function examineIn(bases: readonly BaseChain[], { plan, view }: FanRecord, peers: Prefix): Finding {
  const { mapping, underlayDevice } = plan;
  const packet: PacketKind = {
    ...kindOf(plan).packet,
    state: 'untracked',
    input: underlayDevice,
    source: peers,
    destination: { base: mapping.address, length: 32 },
  };
  // Of VXLAN the kernel itself is the receiver, with any io.
  const isRaw = view.io === 'raw' || plan.vxlan !== undefined;
  const before = dropAmong(bases, isRaw ? ['ingress', 'prerouting'] : ['ingress'], packet);
  const atInput = isRaw ? dropAmong(bases, ['input'], packet) : undefined;
  const drop = surest([before, atInput]);
  const what = `${kindOf(plan).name} from ${nameOf(peers)} to ${formatAddress(mapping.address)}`;
  return judged(drop, what, drop === atInput);
}

/** What goes to `peers`. */
export function examineOut(bases: readonly BaseChain[], { plan, view }: FanRecord, peers: Prefix): Finding {
  const { mapping, underlayDevice } = plan;
  const packet: PacketKind = {
    ...kindOf(plan).packet,
    state: 'untracked',
    output: underlayDevice,
    source: { base: mapping.address, length: 32 },
    destination: peers,
  };
  const what = `${kindOf(plan).name} from ${formatAddress(mapping.address)} to ${nameOf(peers)}`;
  const atDevice = dropAmong(bases, ['egress'], packet);
  const local = dropAmong(bases, LOCAL_OUT, packet);
  const drop = surest([local, atDevice]);
  if (view.io === 'raw' || plan.vxlan || !drop) return judged(drop, what, false);
  if (atDevice) return judged(atDevice, what, false);
  if (view.io === 'bpf') return warn(`dropped by ${drop.by}: ${what}; ${LEFT_TO_FAND}`, drop.remedy);
  const finding = judged(local, what, false);
  return { ...finding, evidence: `${finding.evidence}; ${NOT_RESOLVED}`, severity: 'major' };
}

/** What outer packets of the fan are. */
function kindOf({ vxlan }: FanPlan): {
  name: string;
  packet: Pick<PacketKind, 'protocol' | 'destinationPort'>;
} {
  if (!vxlan) return { name: 'protocol 4', packet: { protocol: IPIP } };
  return { name: `udp port ${vxlan.port}`, packet: { protocol: UDP, destinationPort: vxlan.port } };
}

function nameOf({ base, length }: Prefix): string {
  return length === 32 ? formatAddress(base) : formatPrefix({ base, length });
}
