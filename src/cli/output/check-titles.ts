/**
 * What each check of doctor and probe looks at, in words that hold where it is well: a check is named after the trouble
 * that it finds, and "ok forward-drop" would read as if there were one. In the groups, and the order, of the text.
 */
export interface CheckGroup {
  readonly title: string;
  /** Name → title. */
  readonly checks: Readonly<Record<string, string>>;
}

export const CHECK_GROUPS: readonly CheckGroup[] = [
  {
    title: 'this machine',
    checks: {
      'program-missing': 'the programs that a fan needs are there',
      'tun-device-missing': 'the TUN device is there',
      'kernel-regression': 'the kernel has no known fault',
      'slow-clock': 'the clock is fast to read',
    },
  },
  {
    title: 'fand and its fans',
    checks: {
      unreadable: "fand's records can be read",
      'fand-dead': 'fand answers where there are fans',
      'fan-dead': 'each fan is up',
      'state-lost': 'each device of ufan belongs to a fan',
      'bridge-changed': 'the bridge is as it was set up',
      'tun-changed': 'the TUN is as it was set up',
      'vxlan-device-changed': "the kernel's VXLAN device is as it was set up",
      'dhcp-dead': 'DHCP is served where it is wanted',
      'names-dead': 'names of other hosts are answered where they are wanted',
      'relay-broken': 'relays lead bursts on',
      'programs-detached': 'programs in the kernel are attached',
      'counters-wrong': 'counters only grow',
    },
  },
  {
    title: 'the underlay',
    checks: {
      'underlay-down': 'the underlay device is up',
      'address-changed': 'the underlay address is there',
      'underlay-mtu-changed': 'the underlay takes packets of the size of the fan',
      'kernel-tunnel': "no tunnel of the kernel takes the fan's packets",
      'udp-port-shared': 'the UDP port of VXLAN is that of the fan alone',
      'underlay-unreachable': 'the host is reachable on the underlay',
      'duplicate-slice': 'each underlay address is one host',
    },
  },
  {
    title: 'containers',
    checks: {
      'container-mtu': "containers keep to the fan's MTU",
      'duplicate-mac': 'each Ethernet address is on the bridge once',
    },
  },
  {
    title: 'routes and settings',
    checks: {
      'route-missing': 'the overlay is routed',
      'route-overridden': 'nothing takes overlay addresses elsewhere',
      'ip-forward-off': 'the host forwards',
      'rp-filter': "the reverse-path filter passes the fan's packets",
    },
  },
  {
    title: 'firewall and NAT',
    checks: {
      'forward-drop': 'packets pass between bridge and fan',
      'overlay-nat': 'packets keep their overlay addresses',
      'bridge-netfilter': 'packets pass within the bridge',
      'protocol-4-blocked': 'IP protocol 4 passes',
      'udp-blocked': 'the UDP port of VXLAN passes',
      'dhcp-blocked': 'DHCP passes',
      'nat-rules-missing': "the fan's own rules are there",
      'accepts-missing': "chains that may drop have the fan's accepts",
      'guard-missing': 'the rules against forged packets are there',
      'isolation-missing': 'ports are isolated where that was asked for',
    },
  },
  {
    title: 'traffic',
    checks: {
      'offloads-off': 'bursts reach fand whole',
      'queue-overflow': "fand's queues hold what comes",
      'forged-source': 'senders are who they say',
      'guard-drops': 'nobody sends what cannot be of the fan',
    },
  },
  {
    title: 'the peer',
    checks: {
      'peer-down': 'the peer has a fan of this overlay',
      'width-mismatch': 'overlay and widths are the same on both hosts',
      'type-mismatch': 'both hosts have the same type of fan',
      'mtu-black-hole': 'packets of every size pass',
      'responder-silent': "the peer's fand answers questions",
    },
  },
];

/** Undefined for the check of another version of fand. */
export function titleOf(check: string): string | undefined {
  return CHECK_GROUPS.find(({ checks }) => check in checks)?.checks[check];
}
