/**
 * Every reason for which ufan drops a packet: the one list, in the order in which a packet meets the checks.
 *
 * A packet function returns one of these numbers (0 = keep). Each has exactly one counter,
 * `drop-<name>-packets`, in `fanctl stats`, and one line in docs/counters.md (a test compares them).
 * The list stands in base because wire, dataplane, trace and the documentation all speak of it.
 */

export const DROP_REASONS = [
  // Encap: TUN to underlay.
  ['not-ipv4', 'only IPv4 is carried: another version came through the TUN or as inner packet'],
  ['vlan-tag', 'over VXLAN: the frame has a VLAN tag'],
  ['group-frame', 'over VXLAN: IPv4 in a frame for all or for a group, which goes to no one host'],
  ['arp-malformed', "over VXLAN: ARP that is cut short, not of IPv4, or in another's name than its frame"],
  ['inner-malformed', 'the inner header is cut short, has IHL < 5, or its total length passes the payload'],
  ['inner-checksum', 'the inner header checksum is wrong'],
  ['inner-ttl', 'the inner TTL is 0'],
  ['nested-ipip', 'the inner packet is itself IP-in-IP'],
  ['source-not-ours', 'encap: the inner source is outside our slices, the peer would refuse it'],
  ['outside-overlay', 'encap: the destination is in no overlay of ours'],
  ['underlay-network', 'encap: the destination maps to the network address of the underlay'],
  ['underlay-broadcast', 'encap: the destination maps to the broadcast address of the underlay'],
  ['to-ourselves', 'encap: the destination maps to this host, or into an overlay: a tunnel into itself'],
  ['too-big', 'encap: larger than the path takes; where DF is set the sender was told (ICMP 3/4)'],
  ['send-failed', 'encap: the kernel refused the outer packet (no route, firewall, no memory)'],
  // Decap: underlay to TUN.
  [
    'outer-malformed',
    'the outer packet is cut short, a fragment, or has a wrong version, IHL, total length or checksum',
  ],
  [
    'vxlan-malformed',
    'decap: a VXLAN header that is cut short, or has flags or reserved bits that nobody sets',
  ],
  ['vni', 'decap: the VNI is that of no fan here'],
  ['outer-destination', 'decap: the outer destination is no underlay address of a fan here'],
  ['outer-source', 'decap: the outer source is outside the underlay, or is this host'],
  ['source-martian', 'decap: the inner source is a loopback, multicast, broadcast or 0/8 address'],
  ['source-forged', 'decap: the inner source does not map to the outer source'],
  ['source-in-slice', 'decap: the inner source is an address of our own slice'],
  ['destination-outside-slice', 'decap: the inner destination is no host address of our slice'],
  ['ecn', 'decap: congestion marked on a packet whose sender does not speak ECN (RFC 6040)'],
  ['tun-write-failed', 'decap: the kernel refused the inner packet at the TUN'],
  // Made by the kernel, before or behind us.
  [
    'receive-failed',
    'decap: a frame that the kernel can not hand to a packet socket: merged in a way that it has no word for (UFO)',
  ],
  [
    'outer-checksum',
    'a wrong IPv4 header checksum, of any packet to this host: no raw socket, nor one of VXLAN, sees it',
  ],
  ['socket-overflow', 'decap: the receive buffer of a raw or packet socket was full'],
  ['tun-overflow', 'encap: the queue of the TUN was full'],
  // By the guard's rules in nftables, before anything else of the host sees the packet (host/steps/guard-step.ts).
  [
    'overlay-source-astray',
    'a source of the overlay came in by a device that is neither bridge nor TUN of a fan',
  ],
  ['bridge-source', "from the bridge: the source is no container's address of the slice"],
  [
    'container-tunnel',
    'IP-in-IP of a container: from the bridge, or on its way out in the name of this host',
  ],
  ['tunnel-astray', "IP-in-IP to the fan's underlay address by another device than the underlay's"],
  [
    'outer-not-unicast',
    "IP-in-IP to the fan's underlay address in a frame for all or for a group (RFC 1122 §3.3.6)",
  ],
  [
    'outer-source-local',
    "IP-in-IP to the fan's underlay address from an address of this host, of loopback, or of all or a group",
  ],
  [
    'outer-options',
    "IP-in-IP to the fan's underlay address with an outer option that asks for more than nothing (RFC 7126)",
  ],
  ['source-unroutable', 'from outside to the overlay: no route of this host leads to the source'],
  [
    'local-mac',
    'layer 2: a frame came out of the tunnel with the MAC of the bridge or of one of its own ports',
  ],
  [
    'service-astray',
    "DNS or DHCP to the fan's dnsmasq by another device than the bridge, or to fand's names not from a gateway",
  ],
  // By the rules behind the flag isolate, on the bridge (host/steps/isolate-rules.ts).
  [
    'neighbour-mac',
    "isolate: a port of the bridge used another MAC than its own: a second one, another's, the gateway's",
  ],
  [
    'neighbour-address',
    "isolate: a port of the bridge used another IPv4 address than its own: a second one, another's, none of the slice",
  ],
  // ICMP about our own packets.
  ['icmp-invalid', 'an ICMP error quotes no packet that we could have sent'],
  [
    'icmp-source',
    "an ICMP error about a packet of ours came in by another device than the underlay's, or from no host on the way",
  ],
  [
    'icmp-implausible',
    'an ICMP error tells of a path below min-path-mtu, or of no packet that its peer was sent of late',
  ],
  ['icmp-rate', 'an ICMP message that we would have sent was held back by the rate limit'],
] as const;

export type DropReasonName = (typeof DROP_REASONS)[number][0];

/** 0 means "keep the packet"; any other value indexes the list, from 1. */
export type DropReason = number;
export const KEEP: DropReason = 0;

/** The number that a packet function returns for a reason. */
export const DROP = Object.freeze(
  Object.fromEntries(DROP_REASONS.map(([name], i) => [name, i + 1])),
) as Readonly<Record<DropReasonName, DropReason>>;

export function dropReasonName(reason: DropReason): DropReasonName | undefined {
  return DROP_REASONS[reason - 1]?.[0];
}
