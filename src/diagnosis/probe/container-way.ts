/**
 * What this host's firewall and NAT do to packets between its containers and a peer's, before one is sent: what doctor
 * finds there fails a probe under the same name, as the probe's own packets come from the host and meet neither.
 */
import type { Prefix } from '../../addr/prefix.js';
import { readFirewall } from '../../host/firewall/bases.js';
import type { BaseChain } from '../../host/firewall/packet-verdict.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import type { Check, Finding } from '../doctor/finding.js';
import { containerWays, examineForward, findWayDrop, forwardDrop } from '../doctor/inner-drops.js';
import { examineNat, examineWayNat, overlayNat } from '../doctor/overlay-nat.js';
import type { ProbeResult } from './checks.js';

/** In order, up to the first that fails; `peer` is what was asked about, of the overlay. Throws FanError. */
export async function checkContainers(plan: FanPlan, peer: Prefix): Promise<ProbeResult[]> {
  const bases = await readFirewall();
  const drops = [...examineForward(bases, plan), ...dropsOf(bases, plan, peer)];
  const dropped = resultOf(forwardDrop, drops);
  if (dropped.status === 'fail') return [dropped];
  const ways = containerWays(plan, peer);
  const nats = [...examineNat(bases, plan), ...ways.flatMap((way) => examineWayNat(bases, plan, way))];
  return [dropped, resultOf(overlayNat, nats)];
}

function dropsOf(bases: readonly BaseChain[], plan: FanPlan, peer: Prefix): Finding[] {
  return containerWays(plan, peer).flatMap((way) => {
    const found = findWayDrop(bases, way);
    return found ? [{ ...found.finding, direction: way.direction }] : [];
  });
}

/** The first failure; what is a warning for doctor, such as an address that is shut out, is none for this peer. */
function resultOf({ name, severity }: Check, findings: readonly Finding[]): ProbeResult {
  const check = name as ProbeResult['check'];
  const failed = findings.find(({ status }) => status === 'fail');
  if (failed) {
    const { evidence, fix, direction } = failed;
    return {
      check,
      status: 'fail',
      severity: failed.severity ?? severity,
      evidence,
      fix,
      ...(direction ? { direction } : {}),
    };
  }
  const evidence = findings.find(({ status }) => status === 'ok')?.evidence ?? 'nothing that is sure';
  return { check, status: 'ok', severity: 'info', evidence, fix: '' };
}
