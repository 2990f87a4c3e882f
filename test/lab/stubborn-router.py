"""A router that does not cut packets: of UDP to a port that comes in longer than MTU it says so, DF or not.

Usage: stubborn-router.py DEVICE PORT MTU; that they go no further is for a firewall. Prints "ready".
"""
import socket
import struct
import sys

device, port, mtu = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ICMP_TOO_BIG = struct.pack("!BBHHH", 3, 4, 0, 0, mtu)
QUOTED = 548


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
wire.bind((device, 0))
icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print("ready", flush=True)
while True:
    packet, sender = wire.recvfrom(65535)
    if sender[2] == socket.PACKET_OUTGOING or packet[9] != 17 or packet[0] != 0x45:
        continue
    length = struct.unpack("!H", packet[2:4])[0]
    if length <= mtu or struct.unpack("!H", packet[22:24])[0] != port:
        continue
    error = ICMP_TOO_BIG + packet[:QUOTED]
    error = error[:2] + struct.pack("!H", checksum(error)) + error[4:]
    icmp.sendto(error, (socket.inet_ntoa(packet[12:16]), 0))
