"""Counts the TCX programs at the egress, or ingress, of a device: what a fan has there, and must not leave there.

Usage: egress-programs.py DEVICE [ingress]
"""
import ctypes
import os
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_QUERY = 16
TCX_INGRESS, TCX_EGRESS = 46, 47
side = TCX_INGRESS if sys.argv[2:] == ["ingress"] else TCX_EGRESS

# union bpf_attr, query: target_ifindex, attach_type, query_flags, attach_flags, prog_ids, prog_cnt, …
attributes = ctypes.create_string_buffer(
    struct.pack("=IIIIQI", socket.if_nametoindex(sys.argv[1]), side, 0, 0, 0, 0) + bytes(36)
)
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(SYS_BPF, BPF_PROG_QUERY, attributes, len(attributes)) < 0:
    sys.exit(f"BPF_PROG_QUERY: {os.strerror(ctypes.get_errno())}")
print(struct.unpack_from("=I", attributes, 24)[0])
