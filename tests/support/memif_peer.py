#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""memif_peer: a client of a memif port that hangs up, lies about its memory, or breaks the rules of the rings.

usage: memif_peer.py SOCKET ID KIND [TIMES]

Prints the reason of each Disconnect that the port sends. Exits 0 if the port did what is expected for the KIND:

  hang_up       closes at each step of the handshake in turn
  noise         messages of random bytes, or of the wrong size
  wrong_id      asks for an interface that does not exist
  unsealed      memory that could be taken away
  outside       a ring outside of its region
  no_cookie     a ring without its mark
  head          more packets than the ring has slots
  slot          a packet outside of the memory
  region        a packet in memory that was never named
  chain         a packet that never ends
  large         packets larger than a buffer of the port, which it discards
  shrink        tries to shrink the memory in use
  bell          a packet at a time to a worker that sleeps, which it rings for if the ring says so
  wrong_bell    a doorbell that is no eventfd
  traffic       random packets until it is killed
"""
import ctypes
import fcntl
import mmap
import os
import random
import select
import socket
import struct
import sys

path, number, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
times = int(sys.argv[4]) if len(sys.argv) > 4 else 1
ACK, HELLO, INIT, REGION, RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)
LOG2, BUFFER = 8, 2048
SLOTS = 1 << LOG2
RING_BYTES = 128 + 16 * SLOTS
BYTES = 2 * RING_BYTES + 2 * SLOTS * BUFFER
SEAL_SHRINK = 2
draw = random.Random(kind)


class Peer:
    def __init__(self, sealed=True):
        self.file = os.memfd_create("peer", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.file, BYTES)
        if sealed:
            fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, SEAL_SHRINK)
        self.memory = mmap.mmap(self.file, BYTES)
        for ring in range(2):
            struct.pack_into("<I", self.memory, ring * RING_BYTES, 0x3E31F20)
            for slot in range(SLOTS):
                self.slot(ring, slot)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.bell = os.eventfd(0)

    def put(self, at, data):
        """Writes bytes at once; struct.pack_into would clear them first."""
        self.memory[at:at + len(data)] = data

    def slot(self, ring, slot, flags=0, region=0, length=BUFFER, offset=None):
        if offset is None:
            offset = 2 * RING_BYTES + (ring * SLOTS + slot) * BUFFER
        self.put(ring * RING_BYTES + 128 + 16 * slot, struct.pack("<HHII", flags, region, length, offset))

    def head(self, ring, value):
        self.put(ring * RING_BYTES + 6, struct.pack("<H", value & 0xFFFF))

    def tail(self, ring):
        return struct.unpack_from("<H", self.memory, ring * RING_BYTES + 64)[0]

    def send(self, what, body=b"", fd=None):
        message = (struct.pack("<H", what) + body).ljust(128, b"\0")
        if fd is None:
            self.socket.send(message)
        else:
            socket.send_fds(self.socket, [message], [fd])

    def receive(self):
        message = self.socket.recv(128)
        if len(message) < 2:
            return 0
        what = struct.unpack_from("<H", message)[0]
        if what == DISCONNECT:
            print(message[6:102].split(b"\0")[0].decode(), flush=True)
        return what

    def polls(self):
        """True if the port polls the ring to it: it need not be rung for."""
        return struct.unpack_from("<H", self.memory, 4)[0] & 1 == 1

    def steps(self, offset=0):
        yield lambda: None
        yield lambda: self.send(INIT, struct.pack("<HIB", 0x200, number, 0))
        yield lambda: self.send(REGION, struct.pack("<HQ", 0, BYTES), self.file)
        yield lambda: self.send(RING, struct.pack("<HHHIBH", 1, 0, 0, offset, LOG2, 0), self.bell)
        yield lambda: self.send(RING, struct.pack("<HHHIBH", 0, 0, 0, RING_BYTES, LOG2, 0), self.bell)
        yield lambda: self.send(CONNECT)

    def shake_hands(self, steps=6, **values):
        """Goes through the handshake; returns the last kind of message that came."""
        got = 0
        for _, step in zip(range(steps), self.steps(**values)):
            step()
            got = self.receive()
            if got in (0, DISCONNECT):
                return got
        return got

    def close(self):
        self.socket.close()
        self.memory.close()
        os.close(self.file)
        os.close(self.bell)


def expect(condition, what):
    if not condition:
        sys.exit(f"{kind}: {what}")


def connected():
    """Connects, also if the port is still busy with the last peer."""
    peer = Peer()
    expect(peer.shake_hands() == CONNECTED, "is not connected")
    return peer


def hang_up():
    for steps in range(7):
        peer = Peer()
        got = peer.shake_hands(steps)
        expect(got != DISCONNECT, f"disconnected after {steps} steps")
        peer.close()


def noise():
    for _ in range(100):
        peer = Peer()
        peer.shake_hands(draw.randint(1, 6))
        size = draw.choice([1, 64, 127, 128, 128, 128])
        try:
            peer.socket.send(struct.pack("<H", draw.randint(0, 12))[:size] + draw.randbytes(max(size - 2, 0)))
            peer.socket.send(draw.randbytes(128))
        except OSError:
            pass
        peer.close()


def refused(**values):
    peer = Peer(**values)
    expect(peer.shake_hands() == DISCONNECT, "was not refused")


def outside():
    for offset in (BYTES, BYTES - 64, 0xFFFFFFC0, 12):
        peer = Peer()
        expect(peer.shake_hands(offset=offset) == DISCONNECT, f"offset {offset} was not refused")
        peer.close()


def no_cookie():
    peer = Peer()
    struct.pack_into("<I", peer.memory, 0, 1)
    expect(peer.shake_hands() == DISCONNECT, "was not refused")


def bad_ring(spoil):
    peer = connected()
    peer.head(1, SLOTS)
    spoil(peer)
    expect(peer.receive() == DISCONNECT, "the port does not end the connection")


def chain(peer):
    for slot in range(SLOTS):
        peer.slot(0, slot, flags=1, length=1)
    peer.head(0, SLOTS)


def one(peer, **values):
    peer.slot(0, 0, **values)
    peer.head(0, 1)


def large():
    peer = connected()
    for slot in range(SLOTS):
        peer.slot(0, slot, flags=0 if slot % 8 == 7 else 1, length=BUFFER)
    peer.head(0, SLOTS)
    wait_tail(peer, SLOTS)


def wait_tail(peer, value):
    """Waits until the port has read up to a slot; it must not hang up."""
    for _ in range(20000):
        if peer.tail(0) == value & 0xFFFF:
            return
        ready, _, _ = select.select([peer.socket], [], [], 0.001)
        expect(not ready, "the port ended the connection")
    expect(False, "the port does not read the ring")


def shrink():
    peer = connected()
    try:
        os.ftruncate(peer.file, 4096)
        sys.exit("the memory could be shrunk")
    except PermissionError:
        pass
    libc = ctypes.CDLL(None, use_errno=True)
    punch, keep = 2, 1
    hole = [ctypes.c_int(peer.file), ctypes.c_int(punch | keep), ctypes.c_long(0), ctypes.c_long(BYTES)]
    libc.fallocate(*hole)
    peer.head(0, 1)
    wait_tail(peer, 1)


def bell():
    peer = connected()
    rung = 0
    for head in range(1, 2001):
        peer.slot(0, (head - 1) % SLOTS, length=60)
        peer.head(0, head)
        if not peer.polls():
            os.eventfd_write(peer.bell, 1)
            rung += 1
        wait_tail(peer, head)
    print(f"rung {rung} times")
    expect(rung > 0, "the port never slept")


def wrong_bell():
    peer = Peer()
    peer.bell, _ = os.pipe()
    expect(peer.shake_hands() == DISCONNECT, "was not refused")


def traffic():
    peer = connected()
    print("connected", flush=True)
    head = 0
    while True:
        while (head - peer.tail(0)) & 0xFFFF < SLOTS:
            slot = head % SLOTS
            at = 2 * RING_BYTES + slot * BUFFER
            size = draw.randint(0, 200)
            peer.memory[at:at + size] = draw.randbytes(size)
            peer.slot(0, slot, length=size)
            head += 1
            peer.head(0, head)
            peer.head(1, peer.tail(1) + SLOTS)


KINDS = {
    "hang_up": hang_up,
    "noise": noise,
    "wrong_id": refused,
    "unsealed": lambda: refused(sealed=False),
    "outside": outside,
    "no_cookie": no_cookie,
    "head": lambda: bad_ring(lambda peer: peer.head(0, SLOTS + 1)),
    "slot": lambda: bad_ring(lambda peer: one(peer, offset=BYTES - 10, length=64)),
    "region": lambda: bad_ring(lambda peer: one(peer, region=7, length=64)),
    "chain": lambda: bad_ring(chain),
    "large": large,
    "shrink": shrink,
    "bell": bell,
    "wrong_bell": wrong_bell,
    "traffic": traffic,
}
for _ in range(times):
    KINDS[kind]()
