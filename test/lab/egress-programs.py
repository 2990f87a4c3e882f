"""Counts the TCX programs at the egress of a device: what a fan in packet mode has there, and must not leave there.

Usage: egress-programs.py DEVICE
"""
import ctypes
import os
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_QUERY = 16
TCX_EGRESS = 47

# union bpf_attr, query: target_ifindex, attach_type, query_flags, attach_flags, prog_ids, prog_cnt, …
attributes = ctypes.create_string_buffer(
    struct.pack("=IIIIQI", socket.if_nametoindex(sys.argv[1]), TCX_EGRESS, 0, 0, 0, 0) + bytes(36)
)
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(SYS_BPF, BPF_PROG_QUERY, attributes, len(attributes)) < 0:
    sys.exit(f"BPF_PROG_QUERY: {os.strerror(ctypes.get_errno())}")
print(struct.unpack_from("=I", attributes, 24)[0])
