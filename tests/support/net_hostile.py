#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""net_hostile: sends packets that no honest client would to a port of the bus.

usage: net_hostile.py INTERFACE OWN-ADDRESS BUS-ADDRESS BUS-MAC KIND COUNT [SESSION]

The bus has a counter for each kind of damage; sends COUNT packets of a kind. Builds packets from Ethernet up, so that
any header can be wrong. SESSION is the number of another client's session.
"""
import os
import random
import socket
import struct
import sys

interface, own, bus, bus_mac, kind, count = sys.argv[1:7]
count = int(count)
session = int(sys.argv[7], 0) if len(sys.argv) > 7 else 0
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((interface, 0))
own_mac = raw.getsockname()[4]
mac = bytes(int(part, 16) for part in bus_mac.split(":"))
PORT = 7400
draw = random.Random(kind)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(payload, source=7401, bad_sum=False, length=None, of=own):
    length = 8 + len(payload) if length is None else length
    head = struct.pack("!HHHH", source, PORT, length, 0)
    pseudo = socket.inet_aton(of) + socket.inet_aton(bus) + struct.pack("!BBH", 0, 17, 8 + len(payload))
    total = checksum(pseudo + head + payload) or 0xFFFF
    if bad_sum:
        total ^= 0x5555
    return struct.pack("!HHHH", source, PORT, length, total) + payload


def ip(payload, options=b"", fragment=0x4000, length=None, bad_sum=False, version=4, protocol=17, of=own):
    words = 5 + len(options) // 4
    length = words * 4 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | words, 0, length, 1, fragment, 64, protocol, 0,
                       socket.inet_aton(of), socket.inet_aton(bus)) + options
    total = checksum(head)
    if bad_sum:
        total ^= 0x5555
    return head[:10] + struct.pack("!H", total) + head[12:] + payload


def ether(payload, kind_of=0x0800):
    return mac + own_mac + struct.pack("!H", kind_of) + payload


def frame(messages=b"", count_of=0, version=1, flags=0, sequence=1, of=0):
    return struct.pack("<BBHIQII", version, flags, count_of, sequence, of, 0, 0) + messages


def message(kind_of, payload=b"", target=0, flags=0, length=None):
    length = 8 + len(payload) if length is None else length
    return struct.pack("<HBBI", length & 0xFFFF, kind_of, flags, target) + payload + b"\0" * (-len(payload) % 8)


def hello(nonce, cookie=0, size=1472):
    # The rest after the head is for control, which a client without a cookie cannot reach.
    head = message(9, struct.pack("<QQII", nonce, cookie, size, 0) + b"\0" * 32)
    padding = size - 24 - len(head)
    return frame(head + message(0, b"\0" * (padding - 8)), 2)


def forged():
    """A valid hello of a host that there is not."""
    of = f"172.{draw.randrange(16, 32)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"
    return ether(ip(udp(hello(draw.getrandbits(63) | 1), of=of), of=of))


def spoofed():
    of = session if session else draw.getrandbits(64)
    return udp(frame(message(1, b"x" * 64, 1), 1, sequence=draw.randrange(1, 1 << 32), of=of),
               source=draw.randrange(1024, 65536))


def mutated():
    whole = bytearray(ether(ip(udp(hello(draw.getrandbits(63) | 1)))))
    for _ in range(draw.randrange(1, 20)):
        whole[draw.randrange(12, len(whole))] = draw.randrange(256)
    return bytes(whole[:draw.randrange(14, len(whole) + 1)])


kinds = {
    "not_ip": lambda: ether(os.urandom(60), 0x88B5),
    "bad_ip_checksum": lambda: ether(ip(udp(frame()), bad_sum=True)),
    "bad_ip_length": lambda: ether(ip(udp(frame()), length=2000)),
    "truncated_ip": lambda: ether(ip(udp(frame()))[:17]),
    "options_hello": lambda: ether(ip(udp(hello(draw.getrandbits(63) | 1, size=1400)), options=b"\x01\x01\x01\x00")),
    "fragments": lambda: ether(ip(udp(frame()), fragment=0x2000)),
    "not_ours": lambda: ether(ip(b"\0" * 20, protocol=6)),
    "bad_udp_checksum": lambda: ether(ip(udp(frame(), bad_sum=True))),
    "bad_udp_length": lambda: ether(ip(udp(frame(), length=500))),
    "truncated_frame": lambda: ether(ip(udp(frame()[:draw.randrange(0, 24)]))),
    "frame_version": lambda: ether(ip(udp(frame(version=9)))),
    "frame_flags": lambda: ether(ip(udp(frame(flags=0x80)))),
    "frame_length": lambda: ether(ip(udp(frame(b"\0" * 12, 1)))),
    "short_hello": lambda: ether(ip(udp(frame(message(9, struct.pack("<QQII", 7, 0, 1472, 0)), 1)))),
    "hello_flood": lambda: ether(ip(udp(hello(draw.getrandbits(63) | 1), source=draw.randrange(1024, 65536)))),
    "bad_cookie": lambda: ether(ip(udp(hello(9, draw.getrandbits(63) | 1)))),
    "forged": forged,
    "spoofed": lambda: ether(ip(spoofed())),
    "random_udp": lambda: ether(ip(udp(os.urandom(draw.randrange(0, 1400))))),
    "random": lambda: ether(os.urandom(draw.randrange(46, 1500)), draw.choice((0x0800, 0x86DD, 0x0806, 0x8100))),
    "mutated": mutated,
}
for _ in range(count):
    raw.send(kinds[kind]())
