#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""protocol.py SOCKET SCHEMAS: a client written from docs/protocol.md alone.

It knows nothing of libmillrace or of the generated code: it packs structs as the page draws them, and
flatc makes and reads tables. It writes to every doorbell and never sleeps on a ring. Exits 0 if the bus
follows the page; otherwise an AssertionError tells the difference. If it hangs, the stack tells where.
"""
import array
import faulthandler
import json
import mmap
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time

PATH, SCHEMAS = sys.argv[1], pathlib.Path(sys.argv[2])
PUBLISH, DELIVER, REPLY, STATUS, GAP, CONTROL = range(1, 7)
TOKEN, SECTIONS = 1, 2
HEADERS = b"NATS/1.0\r\ntrace: abc\r\n\r\n"
PATIENCE_S = 30
# Shorter than the wait of expect_status in lib.sh, so that the place of a hang is known.
HANGS_S = 50


def table_write(schema, root, value):
    with tempfile.TemporaryDirectory() as d:
        pathlib.Path(d, "v.json").write_text(json.dumps(value))
        subprocess.run(["flatc", "-b", "--root-type", f"millrace.{root}", "-o", d, SCHEMAS / schema,
                        f"{d}/v.json"], check=True)
        return pathlib.Path(d, "v.bin").read_bytes()


def table_read(schema, root, data):
    with tempfile.TemporaryDirectory() as d:
        pathlib.Path(d, "v.bin").write_bytes(data)
        subprocess.run(["flatc", "--json", "--strict-json", "--raw-binary", "--root-type",
                        f"millrace.{root}", "-o", d, SCHEMAS / schema, "--", f"{d}/v.bin"], check=True)
        return json.loads(pathlib.Path(d, "v.json").read_text())


def equal(what, got, expected):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"


def join(packet):
    """Sends one packet to the attach socket; returns the response and the descriptors."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(PATIENCE_S)
    s.connect(PATH)
    s.send(packet)
    data, extra, _, _ = s.recvmsg(4096, 256)
    s.close()
    fds = array.array("i")
    for _, _, some in extra:
        fds.frombytes(some)
    return table_read("attach.fbs", "AttachResponse", data), list(fds)


class Ring:
    """One direction; the data starts at `at` and has `size` bytes, the shared part is at `shared`.

    Positions are read and written through `words`, 8 bytes at once: struct.pack_into() clears the
    place before it writes, and the bus would read a position of 0 meanwhile.
    """

    def __init__(self, memory, shared, at, size):
        self.memory, self.at, self.size = memory, at, size
        self.words = memoryview(memory)[shared:shared + 128].cast("Q")

    @property
    def tail(self):
        return self.words[0]

    @property
    def head(self):
        return self.words[8]

    def push(self, record):
        tail = self.tail
        record += bytes(-len(record) % 8)
        assert len(record) <= self.size - (tail - self.head), "the ring up is full"
        for i, byte in enumerate(record):
            self.memory[self.at + (tail + i) % self.size] = byte
        self.words[0] = tail + len(record)

    def pop(self):
        head = self.head
        if self.tail == head:
            return None
        size = self.memory[self.at + head % self.size] | self.memory[self.at + (head + 1) % self.size] << 8
        record = bytes(self.memory[self.at + (head + i) % self.size] for i in range(size))
        self.words[8] = head + (size + 7) // 8 * 8
        return record


def message(kind, target=0, token=None, subject=b"", headers=b"", payload=b""):
    parts, flags = b"", 0
    if token is not None:
        parts, flags = struct.pack("<QQ", *token), TOKEN
    if subject or headers:
        parts += struct.pack("<BBH", len(subject), 0, len(headers)) + subject + headers
        flags |= SECTIONS
    parts += payload
    return struct.pack("<HBBI", 8 + len(parts), kind, flags, target) + parts


def parts_of(record):
    size, kind, flags, target = struct.unpack_from("<HBBI", record)
    equal("length of a message", size, len(record))
    at, token, subject, headers = 8, None, b"", b""
    if flags & TOKEN:
        token, at = struct.unpack_from("<QQ", record, at), at + 16
    if flags & SECTIONS:
        subject_bytes, zero, header_bytes = struct.unpack_from("<BBH", record, at)
        equal("reserved byte", zero, 0)
        at += 4
        subject = record[at:at + subject_bytes]
        headers = record[at + subject_bytes:at + subject_bytes + header_bytes]
        at += subject_bytes + header_bytes
    return kind, target, token, subject, headers, record[at:]


class Client:
    def __init__(self, fds):
        self.memory = mmap.mmap(fds[0], os.fstat(fds[0]).st_size)
        mmap.mmap(fds[1], 4096, prot=mmap.PROT_READ)
        self.bell, self.liveness = fds[2], socket.socket(fileno=fds[4])
        self.liveness.settimeout(PATIENCE_S)
        magic, up, up_bytes, down, down_bytes = struct.unpack_from("<8s4I", self.memory)
        equal("magic", magic, b"MRCHAN01")
        equal("offsets modulo 4096", (up % 4096, down % 4096), (0, 0))
        self.up = Ring(self.memory, 256, up, up_bytes)
        self.down = Ring(self.memory, 512, down, down_bytes)
        self.correlation = 0

    def send(self, record):
        self.up.push(record)
        os.write(self.bell, struct.pack("<Q", 1))

    def wait(self, what, condition):
        """Returns what `condition` returns when that is true; fails at once if the session has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not (result := condition()):
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain: {what}"
            if select.select([self.liveness], [], [], 0.001)[0]:
                raise AssertionError(f"the bus ended the session, but: {what}: {self.notice()}")
        return result

    def notice(self):
        return table_read("attach.fbs", "SessionNotice", self.liveness.recv(4096))

    def receive(self):
        return parts_of(self.wait("a message comes", self.down.pop))

    def taken(self):
        self.wait("the bus takes what was sent", lambda: self.up.tail == self.up.head)

    def control(self, payload):
        self.correlation += 1
        self.send(message(CONTROL, self.correlation, payload=payload))
        kind, target, _, _, _, answer = self.receive()
        equal("kind and target of the answer", (kind, target), (CONTROL, self.correlation))
        answer = table_read("wire.fbs", "ClientMessage", answer)
        return answer["body_type"], answer["body"]

    def ask(self, request, /, **body):
        return self.control(table_write("wire.fbs", "ClientMessage", {"body_type": request, "body": body}))

    def code(self, request, /, **body):
        answer, body = self.ask(request, **body)
        equal("answer", answer, "Result")
        return body.get("code", 0)


def joining():
    def code(**request):
        return join(table_write("attach.fbs", "AttachRequest", request))[0].get("code", 0)

    equal("another version", code(version=2, name="x"), -71)
    equal("a name that is too long", code(version=1, name="n" * 64), -22)
    equal("no request at all", join(b"hello")[0]["code"], -74)
    response, fds = join(table_write("attach.fbs", "AttachRequest", {"version": 1, "name": "n" * 63}))
    equal("code", response.get("code", 0), 0)
    equal("descriptors", len(fds), 5)
    return response["session"], Client(fds)


def control_messages(c):
    subscribe = {"subscription": 7, "kind": "Pattern", "pattern": "a.*"}
    equal("subscribe", c.code("SubscribeRequest", **subscribe), 0)
    equal("the same again", c.code("SubscribeRequest", **subscribe), 0)
    equal("its number again", c.code("SubscribeRequest", subscription=7, pattern="b"), -17)
    equal("a bad pattern", c.code("SubscribeRequest", subscription=8, pattern="a..b"), -22)
    equal("number 0", c.code("SubscribeRequest", subscription=0, pattern="a"), -22)
    equal("a bad group", c.code("SubscribeRequest", subscription=8, pattern="a", group="*"), -22)
    equal("no such number", c.code("UnsubscribeRequest", subscription=99), -2)
    equal("no ClientMessage", c.control(b"garbage, garbage")[1]["code"], -74)
    kind, pong = c.ask("Ping", sent_ns=5)
    equal("ping", (kind, pong["sent_ns"], "handled_ns" in pong), ("Pong", 5, True))
    kind, answer = c.ask("AliasRequest", subject="a.y")
    equal("alias", kind, "AliasResponse")
    return answer["alias"]


def messages(c, session, alias):
    c.send(message(PUBLISH, subject=b"a.z", headers=HEADERS, payload=b"inline"))
    equal("inline", c.receive(), (DELIVER, 7, None, b"a.z", HEADERS, b"inline"))
    c.send(message(PUBLISH, alias, payload=b""))
    equal("alias", c.receive(), (DELIVER, 7, None, b"a.y", b"", b""))
    # The bus puts the real session into the token, whatever the client claims.
    c.send(message(PUBLISH, alias, token=(99, 4711), payload=b"ask"))
    delivery = c.receive()
    equal("request", delivery, (DELIVER, 7, (session, 4711), b"a.y", b"", b"ask"))
    c.send(message(REPLY, token=delivery[2], headers=HEADERS, payload=b"answer"))
    kind, target, token, subject, headers, payload = c.receive()
    equal("reply", (kind, target, token[1], subject, headers, payload),
          (REPLY, 0, 4711, b"", HEADERS, b"answer"))
    c.send(message(PUBLISH, token=(0, 4712), subject=b"nobody.there"))
    kind, target, token, *_ = c.receive()
    equal("no responders", (kind, target, token[1]), (STATUS, 503, 4712))
    c.send(message(PUBLISH, subject=b"a.z", payload=b"z" * 64512))
    equal("largest body", len(c.receive()[5]), 64512)


def gap(c):
    """A Gap reports messages that found the ring full, before the next message."""
    body, sent = b"z" * 60000, 0
    while sent < c.down.size // len(body) + 20:
        c.send(message(PUBLISH, subject=b"a.z", payload=body))
        sent += 1
        c.taken()
    came, kind = 0, DELIVER
    while kind == DELIVER:
        kind, *_, payload = c.receive()
        came += kind == DELIVER
    equal("kind", kind, GAP)
    missed, missed_total = struct.unpack("<QQ", payload)
    equal("missed and came", (missed_total, missed + came), (missed, sent))
    c.send(message(PUBLISH, subject=b"a.z", payload=b"after"))
    equal("after the gap", c.receive()[5], b"after")


def discarded(c, alias):
    """Refused messages cost only themselves."""
    equal("release", c.code("AliasRelease", alias=alias), 0)
    for bad in (message(PUBLISH, alias, payload=b"x"), message(PUBLISH, subject=b"a..z"),
                message(PUBLISH, payload=b"no subject"), message(DELIVER, 7, subject=b"a.z"),
                message(STATUS, 503), message(GAP), message(REPLY), message(REPLY, token=(0, 1)),
                message(77, 3, payload=b"unknown"), message(PUBLISH, subject=b"a.z", payload=b"z" * 64513),
                struct.pack("<HBBI", 8, PUBLISH, 4, 0), struct.pack("<HBBIBBHI", 16, PUBLISH, 2, 0, 0, 1, 0, 0)):
        c.send(bad)
    c.send(message(PUBLISH, subject=b"a.z", payload=b"still here"))
    equal("after bad ones", c.receive()[5], b"still here")


def end(c):
    """A record shorter than its header closes the session, and a notice tells the client."""
    c.send(struct.pack("<HBBI", 4, PUBLISH, 0, 0))
    notice = c.notice()
    assert notice["code"] < 0 and notice["text"], notice
    equal("end of file", c.liveness.recv(1), b"")


def main():
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    session, client = joining()
    alias = control_messages(client)
    messages(client, session, alias)
    gap(client)
    discarded(client, alias)
    end(client)


main()
