#!/usr/bin/python3
"""Writes the golden packets of test/vectors/wire/, made by scapy: another implementation of the same RFCs.

    /usr/bin/python3 test/vectors/make-wire-vectors.py

Needs Debian's python3-scapy. The output is checked in and is the same on every run; wire-vectors.test.ts reads it.
Addresses are as in the announcement: hosts 172.30.0.28 and .27, containers 250.0.28.2 and 250.0.27.2.
"""

import json
import pathlib
import struct

from scapy.all import ARP, ICMP, IP, TCP, UDP, VXLAN, Dot1Q, Ether, IPOption_NOP, IPOption_RR, IPv6, Raw, fragment, raw

OUT = pathlib.Path(__file__).resolve().parent / "wire"
HOST, PEER = "172.30.0.28", "172.30.0.27"
OURS, THEIRS = "250.0.28.2", "250.0.27.2"


def u32(address):
    return struct.unpack("!I", bytes(int(octet) for octet in address.split(".")))[0]


def pattern(length):
    return bytes((i * 7 + 3) & 255 for i in range(length))


def write(name, vectors):
    text = json.dumps(vectors, indent=1)
    (OUT / f"{name}.json").write_text(text + "\n")


def echo(size=56, **fields):
    header = {"src": OURS, "dst": THEIRS, "ttl": 63, "id": 0xCAFE, **fields}
    return IP(**header) / ICMP(type=8, id=7, seq=1) / Raw(pattern(size))


def outer(**fields):
    return IP(**{"src": HOST, "dst": PEER, "ttl": 63, "id": 0, "proto": 4, **fields})


def encapsulation():
    record_route = [IPOption_RR(routers=["250.0.28.1", "0.0.0.0"]), IPOption_NOP()]
    cases = {
        "echo": (echo(), {"flags": "DF"}),
        "tcp-syn": (IP(src=OURS, dst=THEIRS, ttl=9, flags="DF") / TCP(sport=43210, dport=5201, flags="S"), {"flags": "DF", "ttl": 9}),
        "udp-odd": (IP(src=OURS, dst=THEIRS, tos=0xB8) / UDP(sport=1, dport=2) / Raw(pattern(13)), {"flags": "DF", "tos": 0xB8}),
        "inner-options": (echo(options=record_route), {"flags": "DF", "ttl": 255}),
        "fragmentable": (echo(1452), {"id": 0xFFFF, "ttl": 1}),
        "congested": (echo(tos=3), {"flags": "DF", "tos": 3}),
        "empty": (IP(src=OURS, dst=THEIRS, proto=255), {"flags": "DF"}),
        "checksum-carries": (echo(), {"src": "255.255.255.254", "dst": "255.255.255.253", "id": 0xFFFF, "tos": 255, "ttl": 255}),
    }
    for name, (inner, fields) in cases.items():
        packet = outer(**fields)
        yield {
            "name": name,
            "inner": raw(inner).hex(),
            "packet": raw(packet / inner).hex(),
            "source": u32(packet.src),
            "destination": u32(packet.dst),
            "tos": packet.tos,
            "ttl": packet.ttl,
            "id": packet.id,
            "dontFragment": "DF" in str(packet.flags),
        }


def headers():
    cases = {
        "plain": IP(src=OURS, dst=THEIRS, proto=17, ttl=1, tos=0x2E, id=0x1234),
        "dont-fragment": IP(src=OURS, dst=THEIRS, proto=6, flags="DF"),
        "first-fragment": IP(src=OURS, dst=THEIRS, proto=4, flags="MF", id=9),
        "last-fragment": IP(src=OURS, dst=THEIRS, proto=4, frag=185, id=9),
        "four-options": IP(src=OURS, dst=THEIRS, proto=1, options=[IPOption_NOP()] * 4),
        "most-options": IP(src=OURS, dst=THEIRS, proto=1, options=[IPOption_RR(routers=["1.2.3.4"] * 9), IPOption_NOP()]),
    }
    for name, header in cases.items():
        packet = raw(header / Raw(pattern(24)))
        shown = IP(packet)
        length = shown.ihl * 4
        yield {
            "name": name,
            "packet": packet.hex(),
            "header": {
                "tos": shown.tos,
                "totalLength": shown.len,
                "id": shown.id,
                "dontFragment": "DF" in str(shown.flags),
                "moreFragments": "MF" in str(shown.flags),
                "fragmentOffset": shown.frag * 8,
                "ttl": shown.ttl,
                "protocol": shown.proto,
                "source": u32(shown.src),
                "destination": u32(shown.dst),
            },
            "options": packet[20:length].hex(),
            "checksum": shown.chksum,
        }


def fragments():
    for size, mtu in ((1472, 1500), (1453, 1500), (3000, 1400), (600, 68), (1480, 1499)):
        datagram = outer(id=0x4242, tos=0x10) / echo(size)
        # scapy rounds the payload size up, so hand it the largest multiple of 8 that fits.
        pieces = fragment(IP(raw(datagram)), fragsize=(mtu - 20) // 8 * 8)
        yield {
            "name": f"{size} over {mtu}",
            "mtu": mtu,
            "id": 0x4242,
            "datagram": raw(datagram).hex(),
            "fragments": [raw(piece).hex() for piece in pieces],
        }


def unreachables():
    tcp = IP(src=OURS, dst=THEIRS, flags="DF", ttl=63) / TCP(sport=43210, dport=5201) / Raw(pattern(1460))
    for name, code, mtu, offending in (
        ("too-big", 4, 1480, tcp),
        ("host", 1, 0, echo()),
        ("short", 1, 0, IP(src=OURS, dst=THEIRS, proto=255)),
    ):
        offending = raw(offending)
        error = IP(src=THEIRS, dst=OURS, ttl=64, id=0, flags="DF", tos=0xC0) / ICMP(type=3, code=code, nexthopmtu=mtu) / Raw(offending[:548])
        yield {
            "name": name,
            "code": code,
            "mtu": mtu,
            "source": u32(THEIRS),
            "destination": u32(OURS),
            "offending": offending.hex(),
            "packet": raw(error).hex(),
        }


def with_extension(quote):
    """RFC 4884: the quote padded to 128 bytes, its length in words in byte 5, then one empty extension header."""
    padded = quote[:128].ljust(128, b"\0")
    return padded, len(padded) // 4, struct.pack("!BBH", 0x20, 0, 0xDFFF)


def errors():
    router = "172.30.9.9"
    quoted = raw(outer(id=0x77) / echo(300))
    short = raw(outer(id=0x77) / IP(src=OURS, dst=THEIRS, proto=255))
    options = raw(outer(options=[IPOption_NOP()] * 4) / echo())
    padded, words, extension = with_extension(quoted)
    cases = {
        "too-big": (ICMP(type=3, code=4, nexthopmtu=1400), quoted[:548], 300 + 28, 20),
        "too-big-old-router": (ICMP(type=3, code=4, nexthopmtu=0), quoted[:28], 8, 20),
        "eight-bytes": (ICMP(type=11, code=0), quoted[:28], 8, 20),
        "protocol": (ICMP(type=3, code=2), quoted[:48], 28, 20),
        "padded-quote": (ICMP(type=3, code=1), short + bytes(30), 20, 20),
        "quoted-options": (ICMP(type=12, code=0), options, 84, 24),
        "extension": (ICMP(type=11, code=0, length=words), padded + extension, 108, 20),
        "later-fragment": (ICMP(type=3, code=1), raw(outer(frag=100) / Raw(pattern(40))), 0, 20),
    }
    for name, (icmp, quote, inner_len, header_len) in cases.items():
        icmp.chksum = None
        packet = raw(IP(src=router, dst=HOST, proto=1) / Raw(checksummed(raw(icmp)[:8] + quote)))
        yield {
            "name": name,
            "packet": packet.hex(),
            "error": {
                "type": icmp.type,
                "code": icmp.code,
                "mtu": (icmp.nexthopmtu or 0) if (icmp.type, icmp.code) == (3, 4) else 0,
                "source": u32(HOST),
                "destination": u32(PEER),
                "protocol": 4,
                "id": IP(quote).id,
                "innerOffset": 28 + header_len,
                "innerLen": inner_len,
            },
        }


def checksummed(message):
    """The ICMP message with its checksum field computed anew, over quote and extensions."""
    data = message[:2] + b"\0\0" + message[4:]
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:2] + struct.pack("!H", ~total & 0xFFFF) + data[4:]


def hostile():
    good = raw(echo())
    cases = [
        ("good", good, "keep", "keep"),
        ("trailing bytes", good + bytes(6), "keep", "keep"),
        ("options", raw(echo(options=[IPOption_NOP()] * 4)), "keep", "keep"),
        ("nothing", b"", "outer-malformed", "inner-malformed"),
        ("cut in the header", good[:19], "outer-malformed", "inner-malformed"),
        ("cut in the payload", good[:-1], "outer-malformed", "inner-malformed"),
        ("IPv6", b"\x60" + bytes(39), "outer-malformed", "not-ipv4"),
        ("IHL 4", raw(echo(ihl=4)), "outer-malformed", "inner-malformed"),
        ("IHL beyond total length", raw(IP(src=OURS, dst=THEIRS, ihl=15, len=20)) + bytes(60), "outer-malformed", "inner-malformed"),
        ("IHL beyond the packet", raw(IP(src=OURS, dst=THEIRS, ihl=15, len=60)), "outer-malformed", "inner-malformed"),
        ("total length under the header", raw(echo(len=19)), "outer-malformed", "inner-malformed"),
        ("total length beyond the payload", raw(echo(len=85)), "outer-malformed", "inner-malformed"),
        ("bad checksum", raw(echo(chksum=0x1234)), "outer-malformed", "inner-checksum"),
        ("TTL 0", raw(echo(ttl=0)), "keep", "inner-ttl"),
        ("nested", raw(IP(src=OURS, dst=THEIRS) / echo()), "keep", "nested-ipip"),
        ("first fragment", raw(echo(flags="MF")), "outer-malformed", "keep"),
        ("last fragment", raw(echo(frag=3)), "outer-malformed", "keep"),
    ]
    for name, packet, as_outer, as_inner in cases:
        yield {"name": name, "packet": packet.hex(), "asOuter": as_outer, "asInner": as_inner}


def vxlan():
    mac, other, every = "00:16:3e:00:00:02", "00:16:3e:00:00:03", "ff:ff:ff:ff:ff:ff"
    to = Ether(src=mac, dst=other)
    ask = Ether(src=mac, dst=every) / ARP(op=1, hwsrc=mac, psrc=OURS, hwdst="00:00:00:00:00:00", pdst=THEIRS)
    cases = {
        "ipv4": (to / echo(), 16384000, None),
        "arp-request": (ask, 15728640, None),
        "arp-reply": (to / ARP(op=2, hwsrc=mac, psrc=OURS, hwdst=other, pdst=THEIRS), 1, None),
        "last-vni": (to / echo(), 0xFFFFFF, None),
        "arp-of-another": (Ether(src=other, dst=every) / ask[ARP], 16384000, "arp-malformed"),
        "arp-reverse": (to / ARP(op=3, hwsrc=mac, psrc=OURS, hwdst=other, pdst=THEIRS), 16384000, "arp-malformed"),
        "vlan": (Ether(src=mac, dst=other) / Dot1Q(vlan=5) / echo(), 16384000, "vlan-tag"),
        "ipv6": (to / IPv6(src="fe80::1", dst="fe80::2"), 16384000, "not-ipv4"),
        "broadcast": (Ether(src=mac, dst=every) / echo(), 16384000, "group-frame"),
        "group-source": (Ether(src="01:00:5e:00:00:01", dst=other) / echo(), 16384000, "inner-malformed"),
    }
    for name, (frame, vni, reason) in cases.items():
        # scapy knows the drafts after RFC 7348, and with them more flags than the one.
        yield {"name": name, "vni": vni, "frame": raw(frame).hex(), "packet": raw(VXLAN(flags=8, vni=vni) / frame).hex(), "reason": reason}


def main():
    OUT.mkdir(exist_ok=True)
    for make in (encapsulation, headers, fragments, unreachables, errors, hostile, vxlan):
        write(make.__name__, list(make()))


main()
