"""Echoes UDP datagrams, or sends some and compares what comes back.

Usage: udp-echo.py serve PORT | udp-echo.py send ADDRESS PORT SIZE…
`send` ends with 1 and says which size it was that got lost or came back with other bytes.
"""
import random
import socket
import sys

TIMEOUT_S = 3
LARGEST = 65535


def serve(port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(LARGEST)
        server.sendto(data, peer)


def send(address, port, sizes):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((address, port))
    client.settimeout(TIMEOUT_S)
    for size in sizes:
        sent = random.Random(size).randbytes(size)
        client.send(sent)
        try:
            back = client.recv(LARGEST)
        except socket.timeout:
            sys.exit(f"{size} bytes: nothing came back")
        if back != sent:
            sys.exit(f"{size} bytes: {len(back)} bytes came back, and differ")


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    send(sys.argv[2], int(sys.argv[3]), [int(size) for size in sys.argv[4:]])
