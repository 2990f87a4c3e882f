"""Sends IP-in-IP with an inner source that is another host's, five a second until it is ended.

Usage: forge.py HOST INNER_SOURCE INNER_DESTINATION; HOST is the underlay address it goes to.
"""
import sys
import time

from scapy.all import IP, UDP, Raw, conf

host, source, destination = sys.argv[1:]
packet = IP(dst=host, proto=4) / IP(src=source, dst=destination) / UDP(sport=9, dport=9) / Raw(b"forged")
socket = conf.L3socket()
print("ready", flush=True)
while True:
    socket.send(packet)
    time.sleep(0.2)
