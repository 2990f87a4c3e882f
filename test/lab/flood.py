"""Sends many small packets as fast as one socket takes them, and prints how many.

Usage: flood.py udp ADDRESS COUNT                                datagrams to its discard port
       flood.py ipip OUTER_DESTINATION SOURCE DESTINATION COUNT  IP-in-IP, whose inner packet is one

They carry an IP option, IP-in-IP in the outer header, so that no kernel path takes them (`--io bpf`).
"""
import socket
import struct
import sys

PAYLOAD = b"x" * 18
DISCARD = 9
# RFC 791 §3.1: an option that does nothing.
NO_OPERATION = b"\x01"
# linux/in.h; the socket module names neither.
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


def checksum(header):
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def inner(source, destination):
    udp = struct.pack("!HHHH", 1024, DISCARD, 8 + len(PAYLOAD), 0) + PAYLOAD
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    fields = (0x45, 0, 20 + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP)
    zeroed = struct.pack("!BBHHHBBH", *fields, 0) + addresses
    return struct.pack("!BBHHHBBH", *fields, checksum(zeroed)) + addresses + udp


def open_target():
    if sys.argv[1] == "udp":
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return made, PAYLOAD, (sys.argv[2], DISCARD)
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP)
    made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    return made, inner(sys.argv[3], sys.argv[4]), (sys.argv[2], 0)


sender, packet, target = open_target()
sender.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, NO_OPERATION * 4)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
count = int(sys.argv[-1])
for _ in range(count):
    sender.sendto(packet, target)
print(count)
