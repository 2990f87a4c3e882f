"""Makes what strangers and containers forge to get into a fan: JSON {NAME: {"from": PLACE, "frame": HEX}}.

Usage: forged.py TYPE BRIDGE OTHER_BRIDGE ETH0 ETH1 PEER_BRIDGE: ipip or vxlan, and MAC addresses: of the host 172.30.0.28, which has the fans
250.0.0.0/8 and 251.0.0.0/8, and of its peer 172.30.0.27. Places: the containers 250.0.28.2 (c1), 251.0.28.4 (c3) and
250.0.27.2 (peer), and 172.30.0.29, a host without a fan, by its devices eth0 (the underlay) and eth1 (a network behind
the victim's second NIC). What is delivered is a UDP datagram to port 7777 with the name in it, or an answer to that port.
"""
import json
import sys

from scapy.all import DNS, DNSQR, IP, UDP, Ether, Raw, raw

type_of_fan, bridge, other_bridge, eth0, eth1, peer_bridge = sys.argv[1:]
VICTIM, PEER, OUTSIDER = "172.30.0.28", "172.30.0.27", "172.30.0.29"
STRANGER, ITS_CONTAINER = "172.30.200.200", "250.200.200.5"
OWN = "02:66:6f:72:67:65"
MACS = {"c1": bridge, "c3": other_bridge, "eth0": eth0, "eth1": eth1, "peer": peer_bridge}


def plain(src, dst):
    return IP(src=src, dst=dst, ttl=63) / UDP(sport=7777, dport=7777)


def tunnel(src, dst, inner):
    if type_of_fan == "ipip":
        return IP(src=src, dst=dst, proto=4, ttl=63) / inner
    to = "02:fa:ac:1e:00:1c" if dst == VICTIM else "02:fa:ac:1e:00:1b"
    header = Raw(bytes.fromhex("08000000fa000000"))
    return IP(src=src, dst=dst, ttl=63) / UDP(sport=40000, dport=8472) / header / Ether(src=OWN, dst=to) / inner


def question(src, port):
    """What dnsmasq answers by itself."""
    query = DNS(rd=1, qd=DNSQR(qname="version.bind", qtype="TXT", qclass=3))
    return IP(src=src, dst="250.0.28.1", ttl=63) / UDP(sport=7777, dport=port) / query


PACKETS = {
    # a1: IP-in-IP of its own, which its host would masquerade: as another container, and as the gateway.
    "a1 tunnel as a neighbour": ("c1", tunnel("250.0.28.2", PEER, plain("250.0.28.3", "250.0.27.2"))),
    "a1 tunnel as the gateway": ("c1", tunnel("250.0.28.2", PEER, plain("250.0.28.1", "250.0.27.2"))),
    "a1 tunnel of a container beside the fan": ("eth1", tunnel("10.20.0.6", PEER, plain("250.0.28.2", "250.0.27.2"))),
    # a2: the same with any outer source, and by other devices.
    "a2 tunnel to a peer": ("c1", tunnel(STRANGER, PEER, plain(ITS_CONTAINER, "250.0.27.2"))),
    "a2 tunnel to its own host": ("c1", tunnel(STRANGER, VICTIM, plain(ITS_CONTAINER, "250.0.28.3"))),
    "a2 tunnel by the other fan": ("c3", tunnel(STRANGER, VICTIM, plain(ITS_CONTAINER, "250.0.28.2"))),
    "a2 tunnel by a second NIC": ("eth1", tunnel(STRANGER, VICTIM, plain(ITS_CONTAINER, "250.0.28.2"))),
    "a2 tunnel by a second NIC as the peer": ("eth1", tunnel(PEER, VICTIM, plain("250.0.27.2", "250.0.28.2"))),
    # a2 beside the fan: forwarded to a peer, with an outer source that is no host's here, or becomes one that is.
    "a2 tunnel through by a second NIC": ("eth1", tunnel(STRANGER, PEER, plain(ITS_CONTAINER, "250.0.27.2"))),
    "a2 tunnel through as a second address": ("eth1", tunnel("10.20.0.7", PEER, plain("250.0.77.5", "250.0.27.2"))),
    # a3: plain, from outside, routed into the bridge, or to another slice so that the host would vouch for it.
    "a3 plain as a remote container": ("eth0", plain("250.0.27.2", "250.0.28.2")),
    "a3 plain as a container of the slice": ("eth0", plain("250.0.28.3", "250.0.28.2")),
    "a3 plain by a second NIC": ("eth1", plain("250.0.27.2", "250.0.28.2")),
    "a3 plain from nowhere": ("eth0", plain("8.8.8.8", "250.0.28.2")),
    "a3 plain to another slice": ("eth0", plain("250.0.28.3", "250.0.27.2")),
    "a3 plain to another slice as itself": ("eth0", plain(OUTSIDER, "250.0.27.2")),
    # a4: by way of the gateway to a neighbour, and out to others in a host's name.
    "a4 plain to a neighbour": ("c1", plain("250.0.27.2", "250.0.28.3")),
    "a4 plain to a peer as the gateway": ("c1", plain("250.0.28.1", "250.0.27.2")),
    "a4 plain to third parties": ("c1", plain(PEER, OUTSIDER)),
    # a5: a container of one fan as one of another.
    "a5 plain to a remote container": ("c3", plain("250.0.28.2", "250.0.27.2")),
    "a5 plain to a local container": ("c3", plain("250.0.28.3", "250.0.28.2")),
    # a8: the bridge's dnsmasq.
    "a8 DNS from the underlay": ("eth0", question(OUTSIDER, 53)),
    "a8 DHCP from the underlay": ("eth0", question(OUTSIDER, 67)),
    "a8 DNS from a remote container": ("peer", question("250.0.27.2", 53)),
    "a8 DNS from the other fan": ("c3", question("251.0.28.4", 53)),
}



def frame(name, place, packet):
    packet = packet if packet.haslayer(DNS) else packet / Raw(name.encode())
    return {"from": place, "frame": raw(Ether(dst=MACS[place], src=OWN) / packet).hex()}


print(json.dumps({name: frame(name, *made) for name, made in PACKETS.items()}))
