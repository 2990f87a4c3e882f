"""A host of the old kind, with a kernel that knows the fan map, as far as the wire shows it: the judge of what ours send.

Usage: vxlan-peer.py ADDRESS WIDTH OVERLAY VNI PORT. Every address of its slice from .2 on is a container that answers ARP and
ping. Where it sends to, the fan's arithmetic alone says; each frame that it gets is judged by all that such a host, and the
drafts of both ends, expect. A line "ask TARGET SIZE" on stdin makes its container .2 resolve and ping one of another host.
Prints "ready", "answered TARGET", and at SIGTERM a JSON object: how many of what it saw, and under "wrong" each frame
that was not as it should be.
"""
import ipaddress
import json
import logging
import select
import signal
import socket
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import ARP, ICMP, IP, UDP, VXLAN, Ether, Raw  # noqa: E402

ADDRESS, WIDTH, OVERLAY, VNI, PORT = sys.argv[1:]
VNI, PORT = int(VNI), int(PORT)
OVER = ipaddress.ip_network(OVERLAY)
UNDER = ipaddress.ip_network(f"{ADDRESS}/{WIDTH}", strict=False)
SHIFT = UNDER.prefixlen - OVER.prefixlen
ETH_P_IP = 0x0800


def number(text):
    return int(ipaddress.ip_address(text))


def host_of(text):
    """The underlay host of an overlay address; None for any other."""
    if ipaddress.ip_address(text) not in OVER:
        return None
    return str(ipaddress.ip_address(int(UNDER[0]) + ((number(text) - int(OVER[0])) >> SHIFT)))


SLICE = int(OVER[0]) + ((number(ADDRESS) - int(UNDER[0])) << SHIFT)
ASKER = str(ipaddress.ip_address(SLICE + 2))


def is_mine(text):
    return SLICE + 2 <= number(text) < SLICE + (1 << SHIFT) - 1


def mac_of(text):
    return "00:16:3e:%02x:%02x:%02x" % tuple(ipaddress.ip_address(text).packed[1:])


class Peer:
    def __init__(self):
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.bind((ADDRESS, 0))
        # Holds the port: else the kernel would call it unreachable.
        self.holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.holder.bind((ADDRESS, PORT))
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.seen = {"frames": 0, "requests": 0, "replies": 0, "echoes": 0, "answers": 0, "wrong": []}
        self.macs = {}
        self.waiting = {}
        self.parts = {}

    def send(self, frame):
        to = host_of(frame[ARP].pdst if ARP in frame else frame[IP].dst)
        if to is not None and to != ADDRESS:
            self.sender.sendto(bytes(VXLAN(flags=8, vni=VNI) / frame), (to, PORT))

    def ask(self, target, size):
        self.waiting[target] = size
        me = mac_of(ASKER)
        request = ARP(op=1, hwsrc=me, psrc=ASKER, hwdst="00:00:00:00:00:00", pdst=target)
        self.send(Ether(src=me, dst="ff:ff:ff:ff:ff:ff") / request)

    def wrong(self, why, packet):
        self.seen["wrong"].append(f"{why}: {packet.summary()}")

    def take(self, data, kind):
        if kind == socket.PACKET_OUTGOING:
            return
        packet = IP(data)
        if packet.dst != ADDRESS or UDP not in packet or packet[UDP].dport != PORT:
            return
        self.seen["frames"] += 1
        self.judge_outer(packet)
        tunnelled = VXLAN(bytes(packet[UDP].payload))
        if int(tunnelled.flags) != 8 or tunnelled.vni != VNI:
            self.wrong("VXLAN header", tunnelled)
        frame = tunnelled.payload
        if ARP in frame:
            self.judge(packet, frame, frame[ARP].psrc, frame[ARP].pdst)
            self.take_arp(frame)
        elif frame.type == ETH_P_IP and IP in frame:
            self.judge(packet, frame, frame[IP].src, frame[IP].dst)
            self.take_ip(frame)
        else:
            self.wrong("neither ARP nor IPv4", frame)

    def judge_outer(self, packet):
        if packet.ihl != 5 or packet.ttl != 64 or packet.tos >> 2 != 0 or "DF" in packet.flags:
            self.wrong("outer header", packet)
        if packet[UDP].chksum == 0:
            self.wrong("no UDP checksum", packet)
        if not 32768 <= packet[UDP].sport <= 60999:
            self.wrong("source port", packet)

    def judge(self, packet, frame, source, target):
        if host_of(target) != ADDRESS or not is_mine(target):
            self.wrong("for no container here", frame)
        if host_of(source) != packet.src:
            self.wrong("from a host that its source does not map to", frame)

    def take_arp(self, frame):
        arp = frame[ARP]
        if arp.hwsrc != frame.src:
            self.wrong("ARP in another's name", frame)
        if arp.op == 1:
            self.seen["requests"] += 1
            if frame.dst not in ("ff:ff:ff:ff:ff:ff", mac_of(arp.pdst)):
                self.wrong("ARP request to one MAC", frame)
            mine = mac_of(arp.pdst)
            self.send(Ether(src=mine, dst=arp.hwsrc) / ARP(op=2, hwsrc=mine, psrc=arp.pdst, hwdst=arp.hwsrc, pdst=arp.psrc))
            return
        self.seen["replies"] += 1
        if frame.dst != mac_of(arp.pdst) or arp.hwdst != mac_of(arp.pdst):
            self.wrong("ARP reply to a MAC that did not ask", frame)
        if arp.psrc in self.waiting:
            size = self.waiting.pop(arp.psrc)
            self.macs[arp.psrc] = arp.hwsrc
            self.ping(arp.psrc, size)

    def ping(self, target, size):
        whole = IP(src=ASKER, dst=target) / ICMP(id=7, seq=1) / Raw(b"x" * size)
        for part in whole.fragment(1424):
            self.send(Ether(src=mac_of(ASKER), dst=self.macs[target]) / part)

    def take_ip(self, frame):
        packet = frame[IP]
        if frame.dst != mac_of(packet.dst):
            self.wrong("IPv4 to a MAC that nobody has", frame)
        if len(packet) > 1450:
            self.wrong("longer than the overlay's MTU", frame)
        whole = self.joined(packet)
        if whole is None or ICMP not in whole:
            return
        if whole[ICMP].type == 8:
            self.seen["echoes"] += 1
            answer = IP(src=packet.dst, dst=packet.src) / ICMP(type=0, id=whole[ICMP].id, seq=whole[ICMP].seq) / Raw(bytes(whole[ICMP].payload))
            for part in answer.fragment(1424):
                self.send(Ether(src=mac_of(packet.dst), dst=frame.src) / part)
        elif whole[ICMP].type == 0:
            self.seen["answers"] += 1
            print(f"answered {packet.src}", flush=True)

    def joined(self, packet):
        """The datagram, once all its fragments are there."""
        if packet.frag == 0 and "MF" not in packet.flags:
            return packet
        parts = self.parts.setdefault((packet.src, packet.dst, packet.id), {})
        parts[packet.frag * 8] = packet
        data = b""
        while len(data) in parts:
            part = parts[len(data)]
            data += bytes(part.payload)
            if "MF" not in part.flags:
                return IP(src=packet.src, dst=packet.dst, proto=packet.proto) / ICMP(data)
        return None


def main():
    peer = Peer()

    def finish(*_):
        print(json.dumps(peer.seen), flush=True)
        sys.exit(bool(peer.seen["wrong"]))

    signal.signal(signal.SIGTERM, finish)
    print("ready", flush=True)
    while True:
        for source in select.select([peer.wire, sys.stdin], [], [])[0]:
            if source is peer.wire:
                data, (_, _, kind, *_) = peer.wire.recvfrom(65535)
                peer.take(data, kind)
                continue
            words = sys.stdin.readline().split()
            if words and words[0] == "ask":
                peer.ask(words[1], int(words[2]))


main()
