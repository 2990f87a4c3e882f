"""A device as of a virtual machine that hands over UDP merged as fragments (UFO): makes the tap DEVICE, and for each line
of its input one frame comes in by it, an IP-in-IP packet around a long datagram.

Usage: ufo-tap.py DEVICE OUTER_SOURCE OUTER_TARGET INNER_SOURCE INNER_TARGET
"""
import fcntl
import struct
import sys

from scapy.all import IP, UDP, Ether, Raw

TUNSETIFF = 0x400454CA
TUNSETVNETHDRSZ = 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000
NEEDS_CSUM, GSO_UDP = 1, 3
HEADERS = 14 + 20 + 20
SEGMENT = 1440

device, source, target, inner_source, inner_target = sys.argv[1:]
tap = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
fcntl.ioctl(tap, TUNSETVNETHDRSZ, struct.pack("i", 10))
print("ready", flush=True)
mac = open(f"/sys/class/net/{device}/address").read().strip()
packet = (
    IP(src=source, dst=target, proto=4, flags="DF", ttl=64)
    / IP(src=inner_source, dst=inner_target, ttl=64)
    / UDP(sport=9, dport=9, chksum=1)
    / Raw(bytes(3000))
)
frame = bytes(Ether(dst=mac, src="02:00:00:00:00:01") / packet)
header = struct.pack("=BBHHHH", NEEDS_CSUM, GSO_UDP, HEADERS + 8, SEGMENT, HEADERS, 6)
for _ in sys.stdin:
    tap.write(header + frame)
