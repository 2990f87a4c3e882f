"""Asks responders of probes for facts, with hardware addresses to look for.

  ask-facts.py ask ADDRESS SOURCE_PORT            prints "answered" or "silent"
  ask-facts.py flood DEVICE MAC ADDRESS SECONDS   3,000 a second, in the names of hosts that don't exist
  ask-facts.py garbage DEVICE MAC ADDRESS SECONDS as fast as it goes, what is no request or from outside the underlay
"""
import json
import random
import socket
import sys
import time

from scapy.all import IP, UDP, Ether, Raw, raw

PORT = 8326


def request():
    body = {"ufan": 1, "id": "%016x" % random.getrandbits(64), "ask": "facts", "overlay": "250.0.0.0/8"}
    return json.dumps({**body, "nonce": "", "macs": ["02:00:00:00:00:01"]}).ljust(1024).encode()


def ask(address, source_port):
    host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host.bind(("", int(source_port)))
    host.settimeout(0.5)
    for _ in range(4):
        host.sendto(request(), (address, PORT))
        try:
            host.recvfrom(2048)
            return print("answered")
        except (TimeoutError, ConnectionRefusedError):
            pass
    print("silent")


def flood(device, mac, address, seconds):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((device, 0))
    sources = ["172.30.%d.%d" % (third, fourth) for third in range(64, 96) for fourth in range(1, 200)]
    packets = [
        raw(Ether(dst=mac) / IP(src=source, dst=address) / UDP(sport=PORT, dport=PORT) / Raw(request()))
        for source in random.sample(sources, 3000)
    ]
    print("flooding", flush=True)
    end = time.monotonic() + float(seconds)
    sent = 0
    while time.monotonic() < end:
        wire.send(packets[sent % len(packets)])
        sent += 1
        if sent % 30 == 0:
            time.sleep(0.01)
    print(sent)


def garbage(device, mac, address, seconds):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((device, 0))
    frame = lambda source, port, payload: raw(
        Ether(dst=mac) / IP(src=source, dst=address) / UDP(sport=port, dport=PORT) / Raw(payload)
    )
    packets = [
        frame("172.30.70.1", PORT, b"x" * 1024),
        frame("172.30.70.2", PORT, b"{" * 1400),
        frame("172.30.70.3", 9999, request()),
        frame("8.8.8.8", PORT, request()),
    ]
    print("flooding", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for packet in packets:
            wire.send(packet)


{"ask": ask, "flood": flood, "garbage": garbage}[sys.argv[1]](*sys.argv[2:])
