/**
 * What a probe says and looks for by how a fan's packets travel: IP-in-IP, of which the network needs to pass protocol 4, or
 * VXLAN, of which it needs to pass a UDP port.
 */
import { DEFAULT_VXLAN_PORT, overheadOf, type VxlanTerms } from '../../fan/encapsulation.js';
import { PROTOCOL_IPIP, PROTOCOL_UDP } from '../../wire/ipv4.js';

export interface Carrier {
  readonly type: 'ipip' | 'vxlan';
  readonly check: 'protocol-4-blocked' | 'udp-blocked';
  /** Of outer packets, and the destination port of UDP, else 0. */
  readonly protocol: number;
  readonly port: number;
  /** Bytes that the outer headers take. */
  readonly overhead: number;
  /** "protocol 4" */
  readonly name: string;
  readonly packets: string;
  /** What lets packets pass, and large ones. */
  readonly fix: string;
  readonly mtuFix: string;
}

const IPIP: Carrier = {
  type: 'ipip',
  check: 'protocol-4-blocked',
  protocol: PROTOCOL_IPIP,
  port: 0,
  overhead: overheadOf(undefined),
  name: 'protocol 4',
  packets: 'IP-in-IP packets',
  fix: 'let IP protocol 4 (not 94) pass, in host firewalls and security groups; Azure and DigitalOcean carry none',
  mtuFix: 'let ICMP "fragmentation needed" pass',
};

/** `vxlan` is absent for IP-in-IP. */
export function carrierOf(vxlan: VxlanTerms | undefined): Carrier {
  if (!vxlan) return IPIP;
  const name = `UDP port ${vxlan.port}`;
  return {
    type: 'vxlan',
    check: 'udp-blocked',
    protocol: PROTOCOL_UDP,
    port: vxlan.port,
    overhead: overheadOf(vxlan),
    name,
    packets: 'VXLAN packets',
    fix: `let ${name} pass, in host firewalls and security groups`,
    // Their DF is clear.
    mtuFix: 'let IP fragments pass',
  };
}

/** That of the other type of fan, with what nobody has to say. */
export function otherCarrier({ type }: Carrier): Carrier {
  return carrierOf(type === 'ipip' ? { vni: 0, port: DEFAULT_VXLAN_PORT, layer2: false } : undefined);
}

/** What both ends must agree on, in words. */
export function termsText(vxlan: VxlanTerms | undefined): string {
  return vxlan ? `type vxlan, vni ${vxlan.vni}, port ${vxlan.port}` : 'type ipip';
}

/** The same as words of `fanctl up`, behind a space each; none for IP-in-IP. */
export function typeWords(vxlan: VxlanTerms | undefined): string {
  return vxlan ? ` type vxlan vni ${vxlan.vni} port ${vxlan.port}` : '';
}
