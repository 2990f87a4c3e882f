"""Attaches to a TUN as the daemon does and prints the first IPv4 packets: source, destination, protocol.

Usage: read-tun.py DEVICE SECONDS. One line a packet; ends after that time.
"""
import fcntl
import os
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
VNET_HEADER_LEN = 10

device, seconds = sys.argv[1], float(sys.argv[2])
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
print("attached", flush=True)
end = time.monotonic() + seconds
while (left := end - time.monotonic()) > 0:
    if not select.select([tun], [], [], left)[0]:
        break
    packet = os.read(tun, 65600)[VNET_HEADER_LEN:]
    if packet[0] >> 4 == 4:
        print(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9], flush=True)
