/**
 * What a probe's measurements mean: one CheckResult for each thing that can stand between two hosts of a fan. Pure; the
 * prober decides in which order to ask, and stops at the first that fails, as what follows from it is no cause.
 */
import { PROBE_PORT } from '../../base/probe-port.js';
import type { CheckResult } from '../../control/protocol.js';
import { ICMP_UNREACHABLE, PROTOCOL_UNREACHABLE } from '../../wire/icmpv4.js';
import { PROTOCOL_UDP } from '../../wire/ipv4.js';
import { type Stop, WAY_VERDICTS, type WayVerdict } from '../explain/inner-way.js';
import type { Carrier } from './carrier.js';
import type { PathNotice } from './icmp-socket.js';
import type { Answer, Facts } from './message.js';

const PORT_UNREACHABLE = 3;

/** Every check, in the order in which a probe makes them; the last is a warning only. */
export const PROBE_CHECKS = [
  ...WAY_VERDICTS,
  'forward-drop',
  'overlay-nat',
  'underlay-unreachable',
  'duplicate-slice',
  'peer-down',
  'width-mismatch',
  'type-mismatch',
  'protocol-4-blocked',
  'udp-blocked',
  'mtu-black-hole',
  'responder-silent',
] as const;

type ProbeCheck = (typeof PROBE_CHECKS)[number];
/** As fanctl prints it, under one of the names above. */
export type ProbeResult = CheckResult & { check: ProbeCheck };

export type FactsAnswer = Extract<Answer, { answer: 'facts' }>;

function ok(check: ProbeCheck, evidence: string): ProbeResult {
  return { check, status: 'ok', severity: 'info', evidence, fix: '' };
}

/** Of the way through the kernel of this host, where the last name stands for all of them that are well. */
export function wayCheck(stop: Stop | undefined, evidence: string): ProbeResult {
  if (!stop) return ok('route-overridden', evidence);
  return {
    check: stop.verdict,
    status: 'fail',
    severity: 'critical',
    evidence: stop.why,
    fix: wayFix(stop.verdict, ''),
  };
}

/** Replies of the peer that its own kernel takes elsewhere. */
export function wayBackCheck(host: string, { verdict, why }: Stop): ProbeResult {
  return {
    check: verdict,
    status: 'fail',
    severity: 'critical',
    evidence: `on ${host}: ${why}`,
    fix: wayFix(verdict, `on ${host}: `),
    direction: 'in',
  };
}

function wayFix(verdict: WayVerdict, where: string): string {
  if (verdict !== 'route-overridden') return `${where}fanctl doctor --fix`;
  return `${where}remove that route or policy rule; fanctl doctor shows the command`;
}

export function underlayCheck(host: string, isReachable: boolean, evidence: string): ProbeResult {
  if (isReachable) return ok('underlay-unreachable', evidence);
  return {
    check: 'underlay-unreachable',
    status: 'fail',
    severity: 'critical',
    evidence,
    fix: `see to it that ${host} is up and reachable on the underlay: ping ${host}`,
  };
}

export interface Claim {
  readonly address: string;
  readonly isOurs: boolean;
  /** Hardware addresses that answer for it; of our own address, those of others. */
  readonly macs: readonly string[];
  /** Those of them that the peer's fand says are its own: a host with several devices on a link may answer by each. */
  readonly known: readonly string[];
}

export function duplicateCheck(claims: readonly Claim[]): ProbeResult {
  const bad = claims.find(({ isOurs, macs, known }) => {
    return macs.length > (isOurs ? 0 : 1) && macs.some((mac) => !known.includes(mac));
  });
  if (!bad) return ok('duplicate-slice', 'each underlay address is claimed by one host');
  const { address, isOurs, macs } = bad;
  const who = isOurs
    ? `another host claims our underlay address ${address}`
    : `several hosts claim underlay address ${address}`;
  return {
    check: 'duplicate-slice',
    status: 'fail',
    severity: 'critical',
    evidence: `${who}: ${macs.join(', ')}`,
    fix: `give each host an underlay address of its own; arping -b ${address} shows who answers`,
  };
}

export function peerDownCheck(evidence: string, fix: string): ProbeResult {
  return { check: 'peer-down', status: 'fail', severity: 'critical', evidence, fix };
}

export function peerUpCheck(evidence: string): ProbeResult {
  return ok('peer-down', evidence);
}

/** A fan whose responder does not answer: works, but its facts are not known. */
export function silentCheck(host: string, evidence: string): ProbeResult {
  return {
    check: 'responder-silent',
    status: 'warn',
    severity: 'minor',
    evidence,
    fix: `let UDP port ${PROBE_PORT} of ${host} through, for which UFAN_RESPONDER must not be off there`,
  };
}

/** `theirs` is a fan whose overlay is ours or overlaps it. */
export function widthCheck(ours: Pick<Facts, 'overlay' | 'underlay' | 'type'>, theirs: Facts): ProbeResult {
  const said = `${theirs.overlay} on ${theirs.underlay}`;
  const isSame = theirs.overlay === ours.overlay && widthOf(theirs.underlay) === widthOf(ours.underlay);
  if (isSame && (theirs.type ?? ours.type) === ours.type)
    return ok('width-mismatch', `the peer has ${said}, slice ${theirs.slice}`);
  if (isSame) {
    return {
      check: 'type-mismatch',
      status: 'fail',
      severity: 'critical',
      evidence: `the peer has ${theirs.overlay} of ${theirs.type}, this host of ${ours.type}`,
      fix: 'bring the fan up with the same type, vni and port on all hosts',
    };
  }
  return {
    check: 'width-mismatch',
    status: 'fail',
    severity: 'critical',
    evidence: `the peer has ${said}, this host ${ours.overlay} on ${ours.underlay}`,
    fix: 'bring the fan up with the same overlay and the same underlay width on all hosts',
  };
}

function widthOf(underlay: string): string {
  return underlay.slice(underlay.indexOf('/'));
}

export interface ProtocolResult {
  readonly sent: number;
  readonly returned: number;
  /** Probes that the peer says arrived; undefined where it was not or could not be asked. */
  readonly arrived?: number | undefined;
  /** Whether a probe that the peer was asked to send arrived here; undefined where it was not asked. */
  readonly unasked?: boolean | undefined;
}

/**
 * The fan's packets both ways. Azure and others drop protocol 4; security groups must name 4, not 94. `otherPasses`: the
 * type of fan that does, in words.
 */
export function protocolCheck(
  { sent, returned, arrived, unasked }: ProtocolResult,
  { check, packets, fix }: Carrier,
  otherPasses = '',
): ProbeResult {
  if (returned === sent) return ok(check, `${returned} of ${sent} probes went there and back`);
  if (returned > 0) {
    const evidence = `${sent - returned} of ${sent} probes were lost on the way there or back`;
    return { check, status: 'warn', severity: 'minor', evidence, fix: 'look for a path that loses packets' };
  }
  const direction = arrived === undefined ? 'unknown' : arrived > 0 ? 'in' : 'out';
  const back = unasked === undefined ? '' : unasked ? '; one that it sent did' : ', nor did one that it sent';
  const evidence = {
    out: `none of ${sent} ${packets} arrived at the peer${back}`,
    in: `${arrived} of ${sent} ${packets} arrived at the peer, none of its replies here`,
    unknown: `none of ${sent} ${packets} came back, and the peer's fand, which could say whether they arrived, does not answer`,
  }[direction];
  const other = otherPasses === '' ? '' : `; or ${otherPasses}`;
  return { check, status: 'fail', severity: 'critical', evidence, fix: `${fix}${other}`, direction };
}

export interface MtuResult {
  /** Inner bytes of a packet that fills the fan. */
  readonly full: number;
  /** Inner bytes of the largest packet that went there and back. */
  readonly passes: number;
  /** What a router announced of the path, outer bytes. */
  readonly told?: number | undefined;
  /** In which direction larger ones vanish. */
  readonly direction: 'out' | 'in' | 'unknown';
}

export function mtuCheck(
  { full, passes, told, direction }: MtuResult,
  device: string,
  { overhead, packets, mtuFix }: Carrier,
): ProbeResult {
  const check = 'mtu-black-hole';
  const outer = passes + overhead;
  if (passes === full) return ok(check, `packets of ${outer} bytes pass, as the fan sends them`);
  if (told !== undefined && outer >= told) {
    return ok(check, `packets of ${outer} bytes pass, as a router on the path announced`);
  }
  return {
    check,
    status: 'fail',
    severity: 'major',
    evidence: `${packets} of ${outer} bytes pass, larger ones vanish without an ICMP error; the fan sends up to ${full + overhead}`,
    fix: `${mtuFix}, or on all hosts: ip link set dev ${device} mtu ${outer}, then fanctl down and up`,
    direction,
  };
}

/** Whether the host said that nobody listens on the responder's port. */
export function isPortClosed(notices: readonly PathNotice[], host: number): boolean {
  return isRefused(notices, host, PROTOCOL_UDP, PROBE_PORT);
}

/** Whether the host said that it takes none of the fan's packets: it has no fan of this type. */
export function isCarrierClosed(
  notices: readonly PathNotice[],
  host: number,
  { protocol, port }: Carrier,
): boolean {
  return isRefused(notices, host, protocol, port);
}

function isRefused(notices: readonly PathNotice[], host: number, protocol: number, port: number): boolean {
  const code = protocol === PROTOCOL_UDP ? PORT_UNREACHABLE : PROTOCOL_UNREACHABLE;
  return notices.some(
    (notice) =>
      notice.type === ICMP_UNREACHABLE &&
      notice.code === code &&
      notice.protocol === protocol &&
      notice.port === port &&
      notice.destination === host,
  );
}
