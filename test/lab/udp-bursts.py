"""Sends bursts of datagrams, each burst in one piece (UDP_SEGMENT, udp(7)), to a discard port.

Usage: udp-bursts.py ADDRESS SEGMENT_BYTES BURSTS
"""
import socket
import struct
import sys

UDP_SEGMENT = 103
SEGMENTS = 60
DISCARD = 9

address, size, bursts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
for _ in range(bursts):
    sender.sendmsg([b"x" * (size * SEGMENTS)], control, 0, (address, DISCARD))
