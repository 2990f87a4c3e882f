"""Connections that must not break, and datagrams that tell how long nothing passed.

serve PORT                       echoes TCP and UDP
hold ADDRESS PORT IDLE STREAMS   idle connections, and streams whose every echoed byte is compared
beat ADDRESS PORT PERIOD_MS      a datagram every period

hold and beat print "ready", then a line of JSON for each line on their input, and end with it.
"""
import json
import selectors
import socket
import sys
import threading
import time

CHUNK = 65536
PATTERN = bytes((i * 31 + (i >> 8) * 7) & 0xFF for i in range(1 << 20))
WINDOW = 1 << 18


def echo_datagrams(port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", port))
    while True:
        data, sender = udp.recvfrom(CHUNK)
        udp.sendto(data, sender)


def echo_stream(connection):
    try:
        while data := connection.recv(CHUNK):
            connection.sendall(data)
    except OSError:
        pass
    finally:
        connection.close()


def serve(port):
    threading.Thread(target=echo_datagrams, args=(port,), daemon=True).start()
    listener = socket.create_server(("", port), backlog=512)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo_stream, args=(connection,), daemon=True).start()


class Stream(threading.Thread):
    """Sends the pattern over and over, and compares what comes back."""

    def __init__(self, address, port):
        super().__init__(daemon=True)
        self.socket = socket.create_connection((address, port), timeout=60)
        self.sent = 0
        self.compared = 0
        self.trouble = None
        self.ending = False

    def run(self):
        try:
            while not self.ending or self.compared < self.sent:
                if not self.ending and self.sent - self.compared < WINDOW:
                    start = self.sent % len(PATTERN)
                    self.sent += self.socket.send(PATTERN[start:start + CHUNK])
                else:
                    self.compare(self.socket.recv(CHUNK))
        except OSError as error:
            self.trouble = str(error)
        except ValueError as error:
            self.trouble = str(error)

    def compare(self, data):
        if not data:
            raise ValueError("closed by the other end")
        start = self.compared % len(PATTERN)
        wanted = PATTERN[start:start + len(data)]
        if len(wanted) < len(data):
            wanted += PATTERN[:len(data) - len(wanted)]
        if data != wanted:
            raise ValueError(f"wrong bytes at {self.compared}")
        self.compared += len(data)


def is_alive(connection):
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


def hold(address, port, idle, streams):
    idles = [socket.create_connection((address, port), timeout=60) for _ in range(idle)]
    flows = [Stream(address, port) for _ in range(streams)]
    for flow in flows:
        flow.start()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "bytes":
            print(json.dumps({"bytes": sum(flow.compared for flow in flows)}), flush=True)
            continue
        break
    for flow in flows:
        flow.ending = True
    for flow in flows:
        flow.join()
    broken = [flow.trouble for flow in flows if flow.trouble] + ["idle" for one in idles if not is_alive(one)]
    print(json.dumps({"broken": broken, "bytes": sum(flow.compared for flow in flows)}), flush=True)


def beat(address, port, period_ms):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect((address, port))
    udp.settimeout(0.2)
    sent = []
    came = {}
    ending = threading.Event()

    def send():
        due = time.monotonic()
        while not ending.is_set():
            sent.append(time.monotonic())
            try:
                udp.send((len(sent) - 1).to_bytes(8, "big"))
            except OSError:
                pass
            due = max(due + period_ms / 1000, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))

    def receive():
        while True:
            try:
                came.setdefault(int.from_bytes(udp.recv(CHUNK), "big"), time.monotonic())
            except TimeoutError:
                if ending.is_set():
                    return
            except OSError:
                pass

    threads = [threading.Thread(target=send), threading.Thread(target=receive)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    ending.set()
    for thread in threads:
        thread.join()
    times = sorted(came.values())
    silence = max((b - a for a, b in zip(times, times[1:])), default=0)
    # From the last that came back to the next that did, by when they were sent: where some between them didn't.
    lost_span = 0
    last = None
    for number, at in enumerate(sent):
        if number in came:
            if last is not None and number > last + 1:
                lost_span = max(lost_span, at - sent[last])
            last = number
    print(json.dumps({
        "sent": len(sent),
        "lost": len(sent) - len(came),
        "lostSpanMs": round(lost_span * 1000, 1),
        "silenceMs": round(silence * 1000, 1),
        "longestMs": round(1000 * max((came[n] - sent[n] for n in came), default=0), 1),
    }), flush=True)


mode, *words = sys.argv[1:]
if mode == "serve":
    serve(int(words[0]))
elif mode == "hold":
    hold(words[0], int(words[1]), int(words[2]), int(words[3]))
else:
    beat(words[0], int(words[1]), float(words[2]))
