# SPDX-License-Identifier: Apache-2.0
"""A bus of their own for the tests. MILLRACE_BUILD is the directory of the program `millrace`; without
it, the build directory of the tree."""
import atexit
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from typing import Any, Callable, Optional

import millrace

_TREE = pathlib.Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


class Bus:
    """A running bus in a directory of its own."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._program = pathlib.Path(os.environ.get("MILLRACE_BUILD", _TREE / "build")) / "millrace"
        self._dir = tempfile.mkdtemp(prefix="mr-py.")
        self.address = f"shm:{self._dir}/run/attach.sock"
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self.start()

    def start(self) -> None:
        ready, at_child = os.pipe()
        with open(f"{self._dir}/log", "ab") as log:
            self._process = subprocess.Popen(
                [self._program, "up", "--run-dir", f"{self._dir}/run", "--ready-fd", str(at_child),
                 *self._options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[at_child])
        os.close(at_child)
        with os.fdopen(ready) as line:
            if not line.readline():
                raise RuntimeError(pathlib.Path(f"{self._dir}/log").read_text())

    def control(self) -> int:
        """The process id of the bus's control process."""
        assert self._process is not None
        for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                name, rest = status.read_text().rsplit(")", 1)
            except OSError:
                continue  # it has ended
            if int(rest.split()[1]) == self._process.pid and "millrace-contro" in name:
                return int(status.parent.name)
        raise RuntimeError("there is no control process")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._dir, ignore_errors=True)


_shared: Optional[Bus] = None


def shared() -> Bus:
    """The bus of all tests that do not stop it."""
    global _shared
    if _shared is None:
        _shared = Bus()
        atexit.register(_shared.remove)
    return _shared


class BusTest(unittest.TestCase):
    """A test with clients of the shared bus, which are closed at its end."""

    _number = 0

    def setUp(self) -> None:
        BusTest._number += 1
        #: A subject, queue or service that no other test uses.
        self.subject = f"test.{BusTest._number}"

    def client(self, **options: Any) -> millrace.Client:
        client = millrace.connect(shared().address, **options)
        self.addCleanup(client.close)
        return client

    def until(self, client: millrace.Client, condition: Callable[[], bool]) -> None:
        """Processes until the condition holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            client.wait(0.05)


class Background(threading.Thread):
    """A thread that runs function(client, stop) with a client of its own, until the `with` ends."""

    def __init__(self, function: Callable[[millrace.Client, threading.Event], None]) -> None:
        super().__init__()
        self._function = function
        self._ready = threading.Event()
        self._over = threading.Event()
        self.error: Optional[BaseException] = None

    def run(self) -> None:
        try:
            with millrace.connect(shared().address) as client:
                self._function(client, self._over)
        except BaseException as error:
            self.error = error
        self._ready.set()

    def ready(self) -> None:
        self._ready.set()

    def __enter__(self) -> "Background":
        self.start()
        if not self._ready.wait(PATIENCE_S):
            raise RuntimeError("the thread did not begin in time")
        return self

    def __exit__(self, *unused: Any) -> None:
        self._over.set()
        self.join(PATIENCE_S)
        if self.error is not None:
            raise self.error


def serving(prepare: Callable[[millrace.Client], Any]) -> Background:
    """A thread that prepares its client, and then processes it."""
    def function(client: millrace.Client, stop: threading.Event) -> None:
        prepare(client)
        thread.ready()
        while not stop.is_set():
            client.wait(0.02)

    thread = Background(function)
    return thread
