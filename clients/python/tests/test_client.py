# SPDX-License-Identifier: Apache-2.0
"""Connecting, closing, threads, fork, signals, reconnection, layouts."""
import gc
import os
import signal
import threading
import time
import unittest
import warnings
from typing import Any, List, Optional, Tuple
from unittest import mock

import millrace
from millrace import Stats, WhenAway, _native
from millrace._cdef import declarations

from .bus import PATIENCE_S, Bus, BusTest, shared


class Connecting(BusTest):
    def test_address_comes_from_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"MILLRACE_SERVER": shared().address}):
            with millrace.connect() as client:
                self.assertTrue(client.connected)

    def test_no_bus_is_an_error_with_the_text_of_the_library(self) -> None:
        with self.assertRaises(millrace.Error) as caught:
            millrace.connect("shm:/nowhere/attach.sock")
        self.assertIn(caught.exception.name, ("ECONNREFUSED", "ENOENT"))
        self.assertIn("/nowhere/attach.sock", str(caught.exception))
        with self.assertRaises(millrace.Error) as caught:
            millrace.connect("tcp:nonsense")
        self.assertEqual(caught.exception.name, "EINVAL")

    def test_closed_client_says_so(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        client.close()
        client.close()
        self.assertTrue(client.closed and messages.closed)
        with self.assertRaises(millrace.NotConnected):
            client.publish(self.subject)
        with self.assertRaises(millrace.NotConnected):
            messages.receive(0)
        messages.close()

    def test_forgotten_client_is_a_resource_warning(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client: Optional[millrace.Client] = millrace.connect(shared().address)
            del client
            gc.collect()
        self.assertEqual([w.category for w in caught], [ResourceWarning])

    def test_counters_and_ping(self) -> None:
        client = self.client(name="python-test")
        messages = client.subscribe(self.subject)
        client.publish(self.subject)
        messages.receive(10)
        stats = client.stats()
        self.assertIsInstance(stats, Stats)
        self.assertEqual((stats.published, stats.received, stats.missed), (1, 1, 0))
        self.assertNotEqual(stats.session, 0)
        ping = client.ping()
        self.assertGreater(ping.round_ns, 0)
        self.assertGreaterEqual(client.message_bytes_max(), client.body_bytes_max(self.subject))

    def test_version(self) -> None:
        self.assertRegex(millrace.library_version(), r"^\d+\.\d+\.\d+$")

    def test_negative_timeout_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            self.client().wait(-1)


class Threads(BusTest):
    def in_thread(self, function: Any) -> Optional[BaseException]:
        caught: List[Optional[BaseException]] = [None]

        def run() -> None:
            try:
                function()
            except BaseException as error:
                caught[0] = error

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(PATIENCE_S)
        return caught[0]

    def test_other_thread_is_refused(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        for function in (lambda: client.publish(self.subject), client.close, messages.close,
                         lambda: messages.receive(0), client.stats):
            self.assertIsInstance(self.in_thread(function), RuntimeError)
        self.assertTrue(client.connected)

    def test_thread_that_adopts_the_client_may_use_it(self) -> None:
        client = self.client()

        def use() -> None:
            client.adopt()
            client.publish(self.subject)

        self.assertIsNone(self.in_thread(use))
        with self.assertRaises(RuntimeError):
            client.publish(self.subject)
        client.adopt()
        self.assertEqual(client.stats().published, 1)

    def test_child_process_is_refused_and_the_session_lives(self) -> None:
        client = self.client()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.publish(self.subject)
            except RuntimeError:
                client.close()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        client.publish(self.subject)
        client.drain()

    def test_interrupt_ends_a_wait_without_limit(self) -> None:
        client = self.client()
        timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            client.wait()
        timer.join()


class Restart(unittest.TestCase):
    def test_client_reconnects_and_tells_of_it(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        states: List[Tuple[bool, Optional[str]]] = []
        with millrace.connect(bus.address, when_away=WhenAway.KEEP, on_state=lambda connected, error:
                              states.append((connected, error and error.name))) as client:
            messages = client.subscribe("a")
            bus.stop()
            deadline = time.monotonic() + PATIENCE_S
            while not states:
                self.assertLess(time.monotonic(), deadline)
                client.wait(0.05)
            self.assertFalse(client.connected)
            client.publish("a", b"kept")
            self.assertEqual(client.stats().kept, 1)
            bus.start()
            self.assertEqual(messages.receive(PATIENCE_S).text, "kept")
        self.assertEqual(states, [(False, "ENOTCONN"), (True, None)])

    def test_client_that_does_not_reconnect_fails(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        with millrace.connect(bus.address, reconnect=False) as client:
            messages = client.subscribe("a")
            bus.stop()
            with self.assertRaises(millrace.NotConnected):
                messages.receive(PATIENCE_S)


@unittest.skipIf(_native.MODE != "compiled", "no compiled layouts to compare with")
class Layouts(unittest.TestCase):
    def test_layouts_of_both_modes_agree(self) -> None:
        import cffi  # type: ignore[import]
        other = cffi.FFI()
        other.cdef(declarations(compiled=False))
        compared = 0
        for name in other.list_types()[1]:
            here, there = _native.ffi.typeof(f"struct {name}"), other.typeof(f"struct {name}")
            for field, at in there.fields or ():
                self.assertEqual(dict(here.fields)[field].offset, at.offset, f"{name}.{field}")
                compared += 1
        self.assertGreater(compared, 80)


if __name__ == "__main__":
    unittest.main()
