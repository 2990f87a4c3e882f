"""Makes what strangers and containers forge to get into a fan: JSON {NAME: {"from": PLACE, "frame": HEX}}.

Usage: forged.py BRIDGE_MAC OTHER_BRIDGE_MAC ETH0_MAC ETH1_MAC, all of the host 172.30.0.28 with the fans 250.0.0.0/8 and
251.0.0.0/8. Places: its containers 250.0.28.2 (c1) and 251.0.28.4 (c3), and 172.30.0.29, a host without a fan, by its
devices eth0 (the underlay) and eth1 (a network behind the victim's second NIC); the peer is 172.30.0.27. Each name
begins with its row of the table in SECURITY.md; each packet ends as a UDP datagram to port 7777.
"""
import json
import sys

from scapy.all import IP, UDP, Ether, Raw, raw

bridge, other_bridge, eth0, eth1 = sys.argv[1:]
VICTIM, PEER, OUTSIDER = "172.30.0.28", "172.30.0.27", "172.30.0.29"
STRANGER, ITS_CONTAINER = "172.30.200.200", "250.200.200.5"
MACS = {"c1": bridge, "c3": other_bridge, "eth0": eth0, "eth1": eth1}


def plain(src, dst, port=7777):
    return IP(src=src, dst=dst, ttl=63) / UDP(sport=7777, dport=port) / Raw(b"forged")


def tunnel(src, dst, inner):
    return IP(src=src, dst=dst, proto=4, ttl=63) / inner


def question(src, port):
    """Who is example.org, as far as the server cares."""
    query = bytes.fromhex("7777010000010000000000000765786d61706c65036f72670000010001".replace("786d61", "78616d"))
    return IP(src=src, dst="250.0.28.1", ttl=63) / UDP(sport=7777, dport=port) / Raw(query)


PACKETS = {
    # a1: IP-in-IP of its own, which its host would masquerade: as another container, and as the gateway.
    "a1 tunnel as a neighbour": ("c1", tunnel("250.0.28.2", PEER, plain("250.0.28.3", "250.0.27.2"))),
    "a1 tunnel as the gateway": ("c1", tunnel("250.0.28.2", PEER, plain("250.0.28.1", "250.0.27.2"))),
    # a2: the same with any outer source, and by other devices.
    "a2 tunnel to a peer": ("c1", tunnel(STRANGER, PEER, plain(ITS_CONTAINER, "250.0.27.2"))),
    "a2 tunnel to its own host": ("c1", tunnel(STRANGER, VICTIM, plain(ITS_CONTAINER, "250.0.28.3"))),
    "a2 tunnel by the other fan": ("c3", tunnel(STRANGER, VICTIM, plain(ITS_CONTAINER, "250.0.28.2"))),
    "a2 tunnel by a second NIC": ("eth1", tunnel(STRANGER, VICTIM, plain(ITS_CONTAINER, "250.0.28.2"))),
    "a2 tunnel by a second NIC as the peer": ("eth1", tunnel(PEER, VICTIM, plain("250.0.27.2", "250.0.28.2"))),
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
    "a8 DNS from the other fan": ("c3", question("251.0.28.4", 53)),
}

print(json.dumps({name: {"from": place, "frame": raw(Ether(dst=MACS[place]) / packet).hex()} for name, (place, packet) in PACKETS.items()}))
