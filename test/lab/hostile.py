"""Makes IP-in-IP packets by hand, one or a few frames for each kind, hostile or not: JSON {KIND: [HEX OF A FRAME, …]}.

Usage: hostile.py VICTIM MAC PEER, underlay addresses of 172.30.0.0/16 with fans of 250.0.0.0/8; MAC is VICTIM's.
What isn't said otherwise is a UDP datagram from PEER's container to VICTIM's as PEER would send it; each hostile kind
has one thing wrong.
"""
import json
import sys

from scapy.all import ICMP, IP, UDP, Ether, IPOption, Raw, fragment, raw

victim, mac, peer = sys.argv[1:]
HERE, THERE = ("250.0.%s.2" % address.split(".")[3] for address in (victim, peer))
PORT = 9999


def outer(**fields):
    return IP(**{"src": peer, "dst": victim, "ttl": 63, "flags": "DF", "id": 0, "proto": 4, **fields})


def inner(**fields):
    return IP(**{"src": THERE, "dst": HERE, "ttl": 63, **fields})


def payload(size=64):
    return UDP(sport=PORT, dport=PORT) / Raw(bytes(range(size)) if size < 256 else b"u" * size)


def good():
    return inner() / payload()


def bytes_of(packet):
    return Raw(bytes(packet))


def own_slice():
    return HERE.rsplit(".", 1)[0]


def quote(exit=None, target=None):
    """The beginning of a packet of 1,220 bytes that VICTIM's container sent."""
    packet = IP(src=victim, dst=exit or peer, ttl=63, flags="DF", id=0, proto=4, len=1220)
    return bytes_of(packet / inner(src=HERE, dst=target or THERE, flags="DF", len=1200) / payload())


def last_byte_cut():
    """The inner packet lacks its last byte, and the outer length agrees with what is there."""
    return outer() / Raw(bytes(good())[:-1])


def patched(at, value):
    """The inner header with one byte replaced and the checksum summed again."""
    data = bytearray(bytes(good()))
    data[at] = value
    data[10:12] = b"\0\0"
    total = sum((data[i] << 8) | data[i + 1] for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    data[10:12] = (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return Raw(bytes(data))


KINDS = {
    "good": lambda: outer() / good(),
    "outer-options": lambda: outer(options=[IPOption(b"\x01\x01\x01\x00")]) / good(),
    "outer-record-route": lambda: outer(options=[IPOption(b"\x07\x0b\x04" + bytes(8) + b"\0")]) / good(),
    "outer-timestamp": lambda: outer(options=[IPOption(b"\x44\x0c\x05\x00" + bytes(8))]) / good(),
    "outer-loose-route": lambda: outer(options=[IPOption(b"\x83\x07\x08" + bytes([172, 30, 0, 9]) + b"\0")]) / good(),
    "outer-strict-route": lambda: outer(options=[IPOption(b"\x89\x07\x08" + bytes([172, 30, 0, 9]) + b"\0")]) / good(),
    "outer-late-route": lambda: outer(options=[IPOption(b"\x01" * 37 + b"\x83\x03\x04")]) / good(),
    "outer-bad-options": lambda: outer(options=[IPOption(b"\x07\x01\x04\x00")]) / good(),
    "outer-padding": lambda: outer(len=112) / Raw(bytes(good()) + bytes(9)),
    "wrong-outer-source": lambda: outer(src="172.30.0.77") / good(),
    "outside-slice": lambda: outer() / inner(dst="250.0.99.2") / payload(),
    "outside-overlay": lambda: outer() / inner(dst=victim) / payload(),
    "slice-network": lambda: outer() / inner(dst=own_slice() + ".0") / payload(),
    "slice-broadcast": lambda: outer() / inner(dst=own_slice() + ".255") / payload(),
    "limited-broadcast": lambda: outer() / inner(dst="255.255.255.255") / payload(),
    "source-in-slice": lambda: outer() / inner(src=own_slice() + ".9") / payload(),
    "source-outside-overlay": lambda: outer() / inner(src="8.8.8.8") / payload(),
    "source-loopback": lambda: outer() / inner(src="127.0.0.1") / payload(),
    "source-multicast": lambda: outer() / inner(src="224.0.0.5") / payload(),
    "source-broadcast": lambda: outer() / inner(src="255.255.255.255") / payload(),
    "source-zero": lambda: outer() / inner(src="0.0.0.0") / payload(),
    "source-slice-broadcast": lambda: outer() / inner(src=THERE.rsplit(".", 1)[0] + ".255") / payload(),
    "nested": lambda: outer() / inner(proto=4) / inner() / payload(),
    "bad-checksum": lambda: outer() / inner(chksum=0xBAD0) / payload(),
    "ipv6": lambda: outer() / Raw(b"\x60" + bytes(39)),
    "empty": lambda: outer(),
    "truncated-header": lambda: outer() / Raw(bytes(good())[:19]),
    "last-byte-cut": last_byte_cut,
    "ihl-4": lambda: outer() / patched(0, 0x44),
    "ihl-0": lambda: outer() / patched(0, 0x40),
    "ihl-beyond": lambda: outer() / Raw(bytes([0x4F]) + bytes(good())[1:24]),
    "length-beyond": lambda: outer() / patched(3, 255),
    "length-under-header": lambda: outer() / patched(3, 19),
    "ttl-0": lambda: outer() / inner(ttl=0) / payload(),
    "ce-on-not-ect": lambda: outer(tos=3) / good(),
    "outer-source-foreign": lambda: outer(src="192.0.2.1") / good(),
    "outer-source-network": lambda: outer(src="172.30.0.0") / good(),
    "outer-source-own": lambda: outer(src=victim) / good(),
    "outer-source-second": lambda: outer(src="172.30.0.99") / inner(src="250.0.99.2") / payload(),
    "outer-source-broadcast": lambda: outer(src="172.30.255.255") / inner(src="250.255.255.2") / payload(),
    "outer-source-loopback": lambda: outer(src="127.0.0.1") / good(),
    "outer-bad-checksum": lambda: outer(chksum=0xBAD0) / good(),
    "other-address": lambda: outer(dst="172.30.0.99") / good(),
    "fragments": lambda: fragment(outer(flags=0, id=7) / bytes_of(inner() / payload(3000)), fragsize=1480),
    "fragments-df": lambda: fragment(outer(flags="DF", id=11) / bytes_of(inner() / payload(3000)), fragsize=1480),
    "fragments-hostile": lambda: fragment(
        outer(flags=0, id=8, src="172.30.0.77") / bytes_of(inner() / payload(3000)), fragsize=1480
    ),
    "fragments-reversed": lambda: list(
        reversed(fragment(outer(flags=0, id=9) / bytes_of(inner() / payload(3000)), fragsize=1480))
    ),
    "icmp-too-big": lambda: IP(src="172.30.0.77", dst=victim)
    / ICMP(type=3, code=4, nexthopmtu=1000)
    / quote(),
    "icmp-stranger": lambda: IP(src="8.8.8.8", dst=victim) / ICMP(type=3, code=4, nexthopmtu=1000) / quote(),
    "icmp-68": lambda: IP(src="172.30.0.77", dst=victim) / ICMP(type=3, code=4, nexthopmtu=68) / quote(),
    "icmp-unsent": lambda: IP(src="172.30.0.77", dst=victim)
    / ICMP(type=3, code=4, nexthopmtu=1000)
    / quote(exit="172.30.0.66", target="250.0.66.2"),
    "icmp-forged": lambda: IP(src="172.30.0.77", dst=victim)
    / ICMP(type=3, code=4, nexthopmtu=576)
    / bytes_of(IP(src=victim, dst=peer, proto=4) / inner(src="8.8.8.8", dst=THERE) / payload()),
}


def frames(packets):
    return [raw(Ether(dst=mac) / packet).hex() for packet in (packets if isinstance(packets, list) else [packets])]


print(json.dumps({kind: frames(make()) for kind, make in KINDS.items()}))
