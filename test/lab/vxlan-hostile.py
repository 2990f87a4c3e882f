"""Makes VXLAN packets by hand, one or a few frames for each kind, hostile or not: JSON {KIND: [HEX OF A FRAME, …]}.

Usage: vxlan-hostile.py VICTIM MAC PEER INNER-MAC, underlay addresses of 172.30.0.0/16 with fans of 250.0.0.0/8 over VXLAN; MAC
is VICTIM's on the underlay, INNER-MAC what its tunnel (or its container) is reached by. What isn't said otherwise is a
UDP datagram from PEER's container to VICTIM's as PEER would send it; each hostile kind has one thing wrong.
"""
import json
import struct
import sys

from scapy.all import ARP, IP, UDP, Dot1Q, Ether, IPv6, Raw

victim, mac, peer, inner_mac = sys.argv[1:]
HERE, THERE = ("250.0.%s.2" % address.split(".")[3] for address in (victim, peer))
THEIR_MAC = "00:16:3e:00:00:02"
VNI, PORT = 16384000, 8472


def vxlan(flags=0x08000000, vni=VNI, low=0):
    return struct.pack("!II", flags, vni << 8 | low)


def outer(data, src=peer, dport=PORT, checksum=True, tos=0, ether=mac):
    udp = UDP(sport=40000, dport=dport, **({} if checksum else {"chksum": 0}))
    return Ether(src="02:00:00:00:00:77", dst=ether) / IP(src=src, dst=victim, tos=tos) / udp / Raw(data)


def frame(inner, **fields):
    return Ether(**{"src": THEIR_MAC, "dst": inner_mac, **fields}) / inner


def packet(**fields):
    return IP(**{"src": THERE, "dst": HERE, **fields}) / UDP(sport=9999, dport=9999) / Raw(bytes(64))


def arp(**fields):
    usual = {"op": 1, "hwsrc": THEIR_MAC, "psrc": THERE, "hwdst": "00:00:00:00:00:00", "pdst": HERE}
    return Ether(src=THEIR_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(**{**usual, **fields})


def sent(inner, header=None, **fields):
    return outer((header or vxlan()) + bytes(inner), **fields)


def patched(inner, at, value):
    data = bytearray(bytes(inner))
    data[at] = value
    return Raw(bytes(data))


GOOD = frame(packet())
KINDS = {
    "good": sent(GOOD),
    "no-udp-checksum": sent(GOOD, checksum=False),
    "padded": sent(Raw(bytes(GOOD) + bytes(20))),
    "vxlan-short": outer(vxlan()[:7]),
    "vxlan-empty": outer(b""),
    "no-vni-flag": sent(GOOD, vxlan(flags=0)),
    "other-flags": sent(GOOD, vxlan(flags=0x88000000)),
    "reserved-bits": sent(GOOD, vxlan(flags=0x08000001)),
    "reserved-byte": sent(GOOD, vxlan(low=1)),
    "wrong-vni": sent(GOOD, vxlan(vni=7)),
    "frame-short": outer(vxlan() + bytes(GOOD)[:13]),
    "frame-only": outer(vxlan() + bytes(GOOD)[:14]),
    "source-mac-group": sent(frame(packet(), src="01:00:5e:00:00:01")),
    "vlan": sent(Ether(src=THEIR_MAC, dst=inner_mac) / Dot1Q(vlan=7) / packet()),
    "vlan-stacked": sent(Ether(src=THEIR_MAC, dst=inner_mac, type=0x88A8) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / packet()),
    "ipv6": sent(frame(IPv6(src="fe80::1", dst="fe80::2") / UDP() / Raw(bytes(64)))),
    "other-type": sent(frame(Raw(bytes(64)), type=0x88CC)),
    "ipv6-as-ipv4": sent(frame(IPv6(src="fe80::1", dst="fe80::2") / UDP() / Raw(bytes(64)), type=0x0800)),
    "broadcast": sent(frame(packet(), dst="ff:ff:ff:ff:ff:ff")),
    "multicast": sent(frame(packet(dst="224.0.0.251"), dst="01:00:5e:00:00:fb")),
    "source-forged": sent(frame(packet(src="250.0.99.2"))),
    "sender-forged": sent(GOOD, src="172.30.0.98"),
    "sender-foreign": sent(GOOD, src="10.9.9.9"),
    "sender-network": sent(frame(packet(src="250.0.0.2")), src="172.30.0.0"),
    "source-in-slice": sent(frame(packet(src="250.0.28.9"))),
    "source-outside": sent(frame(packet(src="8.8.8.8"))),
    "source-loopback": sent(frame(packet(src="127.0.0.1"))),
    "source-slice-edge": sent(frame(packet(src="250.0.27.255"))),
    "target-elsewhere": sent(frame(packet(dst="250.0.77.2"))),
    "target-outside": sent(frame(packet(dst="8.8.8.8"))),
    "target-slice-edge": sent(frame(packet(dst="250.0.28.255"))),
    "nested": sent(frame(IP(src=THERE, dst=HERE, proto=4) / packet())),
    "bad-checksum": sent(patched(GOOD, 14 + 10, 0x55)),
    "length-beyond": sent(frame(IP(src=THERE, dst=HERE, len=2000) / UDP() / Raw(bytes(64)))),
    "ttl-0": sent(frame(packet(ttl=0))),
    "ce-on-not-ect": sent(GOOD, tos=3),
    "arp": sent(arp()),
    "arp-sender-forged": sent(arp(psrc="250.0.99.2")),
    "arp-sender-ours": sent(arp(psrc="250.0.28.9")),
    "arp-gateway-claimed": sent(arp(op=2, psrc="250.0.28.1")),
    "arp-target-elsewhere": sent(arp(pdst="250.0.77.2")),
    "arp-other-mac": sent(arp(hwsrc="00:16:3e:00:00:99")),
    "arp-short": sent(Raw(bytes(arp())[:41])),
    "arp-operation": sent(arp(op=3)),
    "arp-hardware": sent(arp(hwtype=6)),
    "arp-protocol": sent(arp(ptype=0x86DD)),
    "local-mac": sent(frame(packet(), src=inner_mac)),
    "outer-broadcast": sent(GOOD, ether="ff:ff:ff:ff:ff:ff"),
}
print(json.dumps({kind: [bytes(data).hex()] for kind, data in KINDS.items()}))
