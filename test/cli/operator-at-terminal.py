"""Runs a command on a terminal of its own and plays an operator.

Usage: operator-at-terminal.py COLUMNSxROWS ACTION… -- COMMAND…
An action is wait=REGEX (in what was printed since the last action), key=TEXT, size=COLUMNSxROWS, signal=NAME, or
done=FILE, which makes a file to tell that the actions before are done.
Prints {"output", "status", "restored"} as JSON: status as a shell counts it, restored whether the terminal's modes are
again what they were.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE_S = 30


def set_size(fd, text):
    columns, rows = (int(part) for part in text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def modes(fd):
    return termios.tcgetattr(fd)[:4]


class Terminal:
    def __init__(self, size, command):
        self.master, slave = pty.openpty()
        set_size(slave, size)
        self.before = modes(slave)
        self.output = b""
        self.mark = 0
        self.pid = os.fork()
        if self.pid == 0:
            self.take(slave)
            os.execvp(command[0], command)
        # Kept open, so that the modes can be read after the command has ended.
        self.slave = slave

    @staticmethod
    def take(slave):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.output += os.read(self.master, 65536)

    def wait(self, pattern):
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern.encode(), self.output[self.mark :]):
            if time.monotonic() > deadline:
                raise SystemExit(f"{pattern} was not printed: {self.output[self.mark:]!r}")
            self.read(0.05)
        self.mark = len(self.output)

    def act(self, action):
        kind, _, text = action.partition("=")
        if kind == "wait":
            self.wait(text)
        elif kind == "key":
            os.write(self.master, text.encode())
        elif kind == "size":
            set_size(self.slave, text)
        elif kind == "done":
            open(text, "x").close()
        else:
            os.kill(self.pid, getattr(signal, f"SIG{text}"))

    def end(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read(0)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise SystemExit("it does not end")


split = sys.argv.index("--")
terminal = Terminal(sys.argv[1], sys.argv[split + 1 :])
for each in sys.argv[2:split]:
    terminal.act(each)
code = terminal.end()
print(
    json.dumps(
        {
            "output": terminal.output.decode(),
            "status": code if code >= 0 else 128 - code,
            "restored": modes(terminal.slave) == terminal.before,
        }
    )
)
