"""Echoes UDP datagrams, or sends some and compares what comes back.

Usage: udp-echo.py DF serve PORT | udp-echo.py DF send ADDRESS PORT SIZE…
DF is `auto` (as Linux does: DF is set, and the path's MTU respected) or `clear`.
`send` ends with 1 and says which size it was that got lost or came back with other bytes.
"""
import random
import socket
import sys

TIMEOUT_S = 10
LARGEST = 65535
# linux/in.h; the socket module names neither.
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


def udp_socket():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if sys.argv[1] == "clear":
        made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    return made


def serve(port):
    server = udp_socket()
    server.bind(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(LARGEST)
        server.sendto(data, peer)


def send(address, port, sizes):
    client = udp_socket()
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


if sys.argv[2] == "serve":
    serve(int(sys.argv[3]))
else:
    send(sys.argv[3], int(sys.argv[4]), [int(size) for size in sys.argv[5:]])
