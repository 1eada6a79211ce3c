# SPDX-License-Identifier: Apache-2.0
"""Publishing, subscribing, headers, lifetimes of payloads, exceptions of callbacks."""
import itertools
import unittest
from typing import Callable, Dict, List, Tuple

import millrace
from millrace import Message, Payload, Promise

from .bus import BusTest


class Publish(BusTest):
    def test_iterator_gives_messages_in_order(self) -> None:
        client = self.client()
        with client.subscribe(f"{self.subject}.*") as messages:
            for number in range(500):
                client.publish(f"{self.subject}.{number % 2}", str(number))
            got = list(itertools.islice(messages, 500))
            self.assertEqual([m.text for m in got], [str(n) for n in range(500)])
            self.assertEqual(got[3].subject, f"{self.subject}.1")
            self.assertIsNone(got[3].reply_token)
            self.assertEqual(messages.count, 500)

    def test_payload_types_and_sizes(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        large = bytes(range(256)) * 4096
        payloads: List[Payload] = [b"", "é", bytearray(b"ab"), memoryview(b"xyz")[1:], large]
        for payload in payloads:
            client.publish(self.subject, payload)
        got = [bytes(messages.receive(10)) for _ in range(5)]
        self.assertEqual(got, [b"", "é".encode(), b"ab", b"yz", large])

    def test_headers_keep_order_and_case(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        client.publish(self.subject, b"x", [("Trace", "1"), ("b", "zwei ü"), ("trace", "2")])
        message = messages.receive(10)
        self.assertEqual(message.headers.items(), [("Trace", "1"), ("b", "zwei ü"), ("trace", "2")])
        self.assertEqual(message.headers["TRACE"], "1")
        self.assertEqual(message.headers.get_all("trace"), ["1", "2"])
        self.assertNotIn("c", message.headers)
        client.publish(self.subject, b"y", message.headers.items())
        self.assertEqual(messages.receive(10).headers, message.headers)

    def test_malformed_arguments_are_einval(self) -> None:
        client = self.client()
        cases: List[Tuple[str, Dict[str, str]]] = [
            ("a..b", {}), ("", {}), ("a\0b", {}), ("a", {"b c": "d"}), ("a", {"b": "c\r\nd: e"})]
        for subject, headers in cases:
            with self.subTest(subject=subject, headers=headers):
                with self.assertRaises(millrace.Error) as caught:
                    client.publish(subject, b"", headers)
                self.assertEqual(caught.exception.name, "EINVAL")
                self.assertTrue(str(caught.exception).startswith("EINVAL: "))

    def test_too_large_a_message_is_emsgsize(self) -> None:
        client = self.client()
        with self.assertRaises(millrace.Error) as caught:
            client.publish(self.subject, bytes(client.message_bytes_max() + 1))
        self.assertEqual(caught.exception.name, "EMSGSIZE")

    def test_group_members_share(self) -> None:
        client = self.client()
        members = [client.subscribe(self.subject, group="g") for _ in range(3)]
        for number in range(30):
            client.publish(self.subject, str(number))
        self.until(client, lambda: sum(len(m.inbox.items) for m in members) == 30)
        self.assertEqual(sorted(int(m.receive(0).text) for s in members for m in [s] * s.count),
                         list(range(30)))

    def test_prefix_is_bytes(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject, prefix=True)
        client.publish(self.subject + "x.y", b"1")
        self.assertEqual(messages.receive(10).subject, self.subject + "x.y")

    def test_receive_times_out(self) -> None:
        messages = self.client().subscribe(self.subject)
        with self.assertRaises(millrace.Timeout):
            messages.receive(0)
        with self.assertRaises(TimeoutError):
            messages.receive(0.01)

    def test_closed_subscription_ends_the_loop(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        client.subscribe(self.subject + ".end", lambda m: messages.close())
        client.publish(self.subject, b"1")
        client.publish(self.subject + ".end")
        self.assertEqual([m.text for m in messages], ["1"])
        self.assertTrue(messages.closed)
        messages.close()

    def test_unread_messages_are_bounded_and_counted(self) -> None:
        client = self.client()
        unread = client.subscribe(self.subject, pending_max=10)
        read = client.subscribe(self.subject)
        for number in range(25):
            client.publish(self.subject, str(number))
        for _ in range(25):
            read.receive(10)
        self.until(client, lambda: unread.count == 25)
        self.assertEqual(unread.missed, 15)
        self.assertEqual([unread.receive(0).text for _ in range(10)], [str(n) for n in range(10)])

    def test_unread_promised_messages_are_an_error_and_not_lost(self) -> None:
        client = self.client()
        unread = client.subscribe(self.subject, pending_max=10, promise=Promise.AT_LEAST_ONCE)
        publisher = client.publisher(self.subject, Promise.AT_LEAST_ONCE)
        for number in range(25):
            publisher.try_send(str(number))
        with self.assertRaises(millrace.Error) as caught:
            for _ in range(100):
                client.wait(0.1)
        self.assertEqual(caught.exception.name, "ENOBUFS")
        self.assertEqual([unread.receive(10).text for _ in range(25)], [str(n) for n in range(25)])
        self.assertEqual(unread.missed, 0)


class Lifetimes(BusTest):
    def test_payload_is_released_after_the_callback(self) -> None:
        client = self.client()
        seen: List[Message] = []
        inside: List[bytes] = []

        def callback(message: Message) -> None:
            inside.append(bytes(message.payload[1:]))
            self.assertTrue(message.payload.readonly)
            seen.append(message)

        client.subscribe(self.subject, callback)
        client.publish(self.subject, b"abc", {"h": "1"})
        self.until(client, lambda: len(seen) == 1)
        self.assertEqual(inside, [b"bc"])
        with self.assertRaises(ValueError):
            bytes(seen[0])
        with self.assertRaises(ValueError):
            seen[0].payload[0]
        self.assertEqual((seen[0].subject, seen[0].headers["h"]), (self.subject, "1"))

    def test_copy_outlives_the_callback(self) -> None:
        client = self.client()
        seen: List[Message] = []
        client.subscribe(self.subject, lambda m: seen.append(m.copy()))
        client.publish(self.subject, b"abc")
        self.until(client, lambda: len(seen) == 1)
        client.publish(self.subject, b"xyz")
        self.until(client, lambda: len(seen) == 2)
        self.assertEqual([bytes(m) for m in seen], [b"abc", b"xyz"])

    def test_view_kept_beyond_the_callback_is_an_error(self) -> None:
        client = self.client()
        keeps: List[Callable[[Message], memoryview]] = [
            lambda m: m.payload[1:], lambda m: memoryview(m.payload)]
        for keep in keeps:
            kept: List[memoryview] = []
            with client.subscribe(self.subject, lambda m: kept.append(keep(m))):
                client.publish(self.subject, b"abc")
                with self.assertRaises(BufferError):
                    self.until(client, lambda: False)
            self.assertEqual(len(kept), 1)


class Exceptions(BusTest):
    def test_exception_of_a_callback_is_raised_by_wait(self) -> None:
        client = self.client()
        seen: List[str] = []

        def callback(message: Message) -> None:
            seen.append(message.text)
            if message.text == "1":
                raise LookupError("mine")

        client.subscribe(self.subject, callback)
        for number in range(3):
            client.publish(self.subject, str(number))
        with self.assertRaisesRegex(LookupError, "mine"):
            self.until(client, lambda: len(seen) == 4)
        self.until(client, lambda: len(seen) == 3)
        self.assertEqual(seen, ["0", "1", "2"])

    def test_several_exceptions_come_as_a_group(self) -> None:
        client = self.client()
        for other in "ab":
            client.subscribe(f"{self.subject}.{other}", lambda m: 1 / 0)
        client.cork(True)
        for other in "ab":
            client.publish(f"{self.subject}.{other}")
        client.drain()
        # The bus answers in order: both messages are there.
        self.assertIsNotNone(client.ping())
        with self.assertRaises(ExceptionGroup) as caught:
            client.wait(10)
        self.assertEqual(len(caught.exception.exceptions), 2)

    def test_exception_waits_for_the_next_call_while_an_object_is_made(self) -> None:
        client = self.client()
        client.subscribe(self.subject, lambda m: 1 / 0)
        client.publish(self.subject)
        client.drain()
        # subscribe() serves callbacks: the subscription must not get lost with their exceptions.
        second = client.subscribe(self.subject + ".2")
        with self.assertRaises(ZeroDivisionError):
            client.wait(10)
        client.publish(self.subject + ".2", b"there")
        self.assertEqual(second.receive(10).text, "there")

    def test_calls_that_wait_fail_within_callbacks(self) -> None:
        client = self.client()
        client.subscribe(self.subject, lambda m: print(client.wait(0)))
        client.publish(self.subject)
        with self.assertRaises(millrace.Error) as caught:
            self.until(client, lambda: False)
        self.assertEqual(caught.exception.name, "EDEADLK")

    def test_close_within_a_callback_is_refused(self) -> None:
        client = self.client()
        client.subscribe(self.subject, lambda m: client.close())
        client.publish(self.subject)
        with self.assertRaisesRegex(RuntimeError, "callback"):
            self.until(client, lambda: False)
        self.assertTrue(client.connected)


if __name__ == "__main__":
    unittest.main()
