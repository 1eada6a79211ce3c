# SPDX-License-Identifier: Apache-2.0
"""Requests, replies, services and calls."""
import threading
import unittest
from typing import List, Optional

import millrace
from millrace import Message, Request

from .bus import Background, BusTest, serving


class RequestReply(BusTest):
    def test_reply_has_payload_and_headers(self) -> None:
        def answer(message: Message) -> None:
            self.assertTrue(message.wants_reply)
            message.reply(message.text.upper(), {"seen": message.headers["trace"]})

        with serving(lambda c: c.subscribe(self.subject, answer)):
            reply = self.client().request(self.subject, "hello", {"trace": "7"}, timeout=10)
        self.assertEqual((reply.text, reply.headers["seen"], reply.subject), ("HELLO", "7", ""))

    def test_nobody_there_is_no_responders(self) -> None:
        with self.assertRaises(millrace.NoResponders) as caught:
            self.client().request(self.subject, b"")
        self.assertEqual(caught.exception.name, "EHOSTUNREACH")
        self.assertIn("EHOSTUNREACH: ", str(caught.exception))

    def test_silence_is_a_timeout(self) -> None:
        client = self.client()
        client.subscribe(self.subject)
        with self.assertRaises(millrace.Timeout):
            client.request(self.subject, b"", timeout=0.05)

    def test_reply_token_answers_later(self) -> None:
        tokens: List[Message] = []

        def prepare(client: millrace.Client) -> None:
            def answer(message: Message) -> None:
                if message.text == "first":
                    tokens.append(message)
                    client.publish(self.subject + ".kept")
                    return
                assert tokens[0].reply_token is not None
                client.reply(tokens[0].reply_token, "late")
            client.subscribe(self.subject, answer)
            client.subscribe(self.subject + ".kept", lambda m: client.publish(self.subject, "second"))

        with serving(prepare):
            self.assertEqual(self.client().request(self.subject, "first", timeout=10).text, "late")

    def test_message_without_token_cannot_be_answered(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        client.publish(self.subject)
        with self.assertRaises(ValueError):
            messages.receive(10).reply(b"")


class Services(BusTest):
    def test_call_returns_what_the_handler_returns(self) -> None:
        with serving(lambda c: c.serve(self.subject, lambda r: r.text.upper())):
            client = self.client()
            self.assertEqual([client.call(self.subject, str(n) + "a", timeout=10).text
                              for n in range(20)], [str(n) + "A" for n in range(20)])

    def test_service_without_a_worker_is_no_responders(self) -> None:
        with self.assertRaises(millrace.NoResponders):
            self.client().call(self.subject, b"")

    def test_failed_handler_tells_the_caller(self) -> None:
        raised: List[str] = []

        def handler(request: Request) -> Optional[str]:
            if request.text == "bad":
                raise LookupError("no")
            return "good"

        def function(client: millrace.Client, stop: threading.Event) -> None:
            client.serve(self.subject, handler)
            thread.ready()
            while not stop.is_set():
                try:
                    client.wait(0.02)
                except LookupError as error:
                    raised.append(str(error))

        thread = Background(function)
        with thread:
            client = self.client()
            with self.assertRaises(millrace.Error) as caught:
                client.call(self.subject, "bad", timeout=10, retries=0)
            self.assertEqual(caught.exception.name, "EREMOTEIO")
            self.assertEqual(client.call(self.subject, "fine", timeout=10).text, "good")
        self.assertEqual(raised, ["no"])

    def test_handler_may_answer_later(self) -> None:
        def prepare(client: millrace.Client) -> None:
            waiting: List[Request] = []

            def handler(request: Request) -> None:
                waiting.append(request)
                client.publish(self.subject + ".now")
            client.serve(self.subject, handler, prefetch=2)
            client.subscribe(self.subject + ".now",
                             lambda m: waiting.pop().respond("later", {"a": "b"}))

        with serving(prepare):
            reply = self.client().call(self.subject, b"", timeout=10)
        self.assertEqual((reply.text, reply.headers["a"]), ("later", "b"))

    def test_service_without_a_handler_is_read(self) -> None:
        service = self.client().serve(self.subject)
        replies: List[str] = []

        def prepare(client: millrace.Client) -> None:
            client.subscribe(self.subject + ".go",
                             lambda m: replies.append(client.call(self.subject, "x", timeout=10).text))

        with serving(prepare):
            self.client().publish(self.subject + ".go")
            request = service.receive(10)
            self.assertEqual(request.text, "x")
            request.respond("y")
        self.assertEqual(replies, ["y"])

    def test_request_given_up_again_goes_to_a_worker(self) -> None:
        attempts: List[int] = []

        def handler(request: Request) -> Optional[str]:
            attempts.append(request.redelivered)
            if len(attempts) == 1:
                request.fail(again=True)
                return None
            return "second"

        with serving(lambda c: c.serve(self.subject, handler)):
            self.assertEqual(self.client().call(self.subject, b"", timeout=10).text, "second")
        self.assertEqual(len(attempts), 2)


if __name__ == "__main__":
    unittest.main()
