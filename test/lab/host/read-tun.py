"""Attaches to a TUN as the daemon does and prints the IPv4 packets: source, destination, protocol.

Usage: read-tun.py DEVICE. One line a packet, after the line "attached", which comes when the device passes packets
(src/io/netlink/active-device.ts says what keeps it from that); goes on until it is ended.
"""
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
VNET_HEADER_LEN = 10

device = sys.argv[1]
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
while json.loads(subprocess.check_output(["ip", "-j", "link", "show", "dev", device]))[0]["operstate"] != "UP":
    time.sleep(0.005)
print("attached", flush=True)
while True:
    packet = os.read(tun, 65600)[VNET_HEADER_LEN:]
    if packet[0] >> 4 == 4:
        print(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9], flush=True)
