#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tcp_transfer: sends bytes over TCP and checks that the other end gets the same.

  tcp_transfer.py serve ADDRESS PORT         echoes each connection until it is closed
  tcp_transfer.py send ADDRESS PORT BYTES    sends BYTES, reads them back, compares, prints the seconds
"""
import hashlib
import socket
import sys
import threading
import time

PIECE = 1 << 16


def echo(connection):
    with connection:
        while piece := connection.recv(PIECE):
            connection.sendall(piece)


def serve(address, port):
    with socket.create_server((address, port), reuse_port=False) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=echo, args=(connection,), daemon=True).start()


def pieces(total):
    """The bytes to send: each piece is another one, so that a lost or swapped piece shows."""
    done = 0
    while done < total:
        piece = hashlib.sha256(str(done).encode()).digest() * (PIECE // 32)
        yield piece[: total - done]
        done += len(piece)


def read_back(connection, total, result):
    digest, count = hashlib.sha256(), 0
    while count < total:
        piece = connection.recv(PIECE)
        if not piece:
            break
        digest.update(piece)
        count += len(piece)
    result.append((count, digest.digest()))


def send(address, port, total):
    sent, result = hashlib.sha256(), []
    begin = time.monotonic()
    with socket.create_connection((address, port), timeout=60) as connection:
        reader = threading.Thread(target=read_back, args=(connection, total, result))
        reader.start()
        for piece in pieces(total):
            connection.sendall(piece)
            sent.update(piece)
        reader.join()
    if result != [(total, sent.digest())]:
        sys.exit(f"sent {total} bytes, got {result[0][0] if result else 0} or other ones")
    print(f"{time.monotonic() - begin:.3f}")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
