"""Sends Ethernet frames as they are. Usage: send-frames.py DEVICE HEX…"""
import socket
import sys

device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    device.send(bytes.fromhex(frame))
