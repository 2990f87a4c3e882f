"""Many UDP flows at once, each datagram with the number of its place in the flow; the other end sends some back.

Usage: udp-flows.py serve PORT                     echoes every ANSWER_EVERYth datagram of each flow; ends with an
                                                   interrupt, and prints "flows, datagrams, datagrams that came too
                                                   late"
       udp-flows.py send ADDRESS PORT FLOWS EACH   from as many source ports, as fast as it goes; prints the same of the
                                                   answers
       udp-flows.py probe ADDRESS PORT FLOWS SIZE  one datagram with DF from each source port, whatever the path's MTU is
"""
import socket
import struct
import sys
import time

ANSWER_EVERY = 8
NUMBER = struct.Struct("!I")
BUFFER_BYTES = 8 << 20
QUIET_S = 0.5
# asm/socket.h and linux/in.h; the socket module names neither.
SO_RCVBUFFORCE, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 33, 10, 3


class Order:
    def __init__(self):
        self.last = {}
        self.seen = 0
        self.late = 0

    def note(self, flow, number):
        self.seen += 1
        self.late += number <= self.last.get(flow, -1)
        self.last[flow] = max(number, self.last.get(flow, -1))

    def report(self):
        print(len(self.last), self.seen, self.late, flush=True)


def udp_socket():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    return made


def serve(port):
    server = udp_socket()
    server.bind(("0.0.0.0", port))
    order = Order()
    print("ready", flush=True)
    try:
        while True:
            data, peer = server.recvfrom(65535)
            (number,) = NUMBER.unpack_from(data)
            order.note(peer, number)
            if number % ANSWER_EVERY == 0:
                server.sendto(data, peer)
    except KeyboardInterrupt:
        order.report()


def clients(address, port, count):
    made = [udp_socket() for _ in range(count)]
    for client in made:
        client.connect((address, port))
    return made


def gather(order, all_clients):
    for flow, client in enumerate(all_clients):
        try:
            while True:
                order.note(flow, NUMBER.unpack_from(client.recv(65535, socket.MSG_DONTWAIT))[0])
        except BlockingIOError:
            pass


def send(address, port, flows, each):
    all_clients = clients(address, port, flows)
    order = Order()
    for number in range(each):
        for client in all_clients:
            client.send(NUMBER.pack(number) + b"x" * 28)
        if number % 64 == 63:
            gather(order, all_clients)
    time.sleep(QUIET_S)
    gather(order, all_clients)
    order.report()


def probe(address, port, flows, size):
    for client in clients(address, port, flows):
        client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        client.send(bytes(size))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    {"send": send, "probe": probe}[sys.argv[1]](sys.argv[2], *(int(word) for word in sys.argv[3:]))
