# SPDX-License-Identifier: Apache-2.0
"""Streaming requests: parts, partial replies, and who holds whom back."""
import asyncio
import threading
import unittest
from typing import Any, List

import millrace
from millrace import Part, Request

from .bus import PATIENCE_S, Background, Bus, BusTest, serving
from .test_aio import AioTest


def joining(service: str) -> Background:
    """A worker whose reply is all parts, joined."""
    texts: List[str] = []

    def begin(request: Request) -> None:
        texts[:] = [request.text]

    def on_part(request: Request, part: Part) -> None:
        texts.append(part.text)
        if not part.more:
            request.respond("+".join(texts))

    return serving(lambda c: c.serve(service, begin, on_part=on_part))


class Streams(BusTest):
    def test_parts_come_in_order_to_on_part(self) -> None:
        with joining(self.subject), self.client().stream(self.subject, "a") as stream:
            stream.send("b")
            stream.send("c", more=False)
            self.assertEqual(stream.result(PATIENCE_S).text, "a+b+c")
            self.assertTrue(stream.ended)

    def test_more_parts_than_the_window_wait_for_room(self) -> None:
        count = 500
        with joining(self.subject), self.client().stream(self.subject, "0") as stream:
            for number in range(1, count):
                stream.send(str(number), more=number < count - 1, timeout=PATIENCE_S)
            self.assertEqual(stream.result(PATIENCE_S).text, "+".join(map(str, range(count))))

    def test_worker_without_room_is_told_by_try_send(self) -> None:
        def hold(client: millrace.Client) -> None:
            held: List[Request] = []
            client.serve(self.subject, held.append, streams=True, window=2)

        with serving(hold), self.client() as client:
            stream = client.stream(self.subject, "first")
            sent: List[bool] = []
            self.until(client, lambda: stream.try_send("x"))
            # The worker's loop takes parts, and grants as many again: the window only bounds what is
            # under way.
            sent = [stream.try_send("x") for _ in range(10)]
            self.assertIn(False, sent)
            self.assertLessEqual(sent.count(True), 2)

    def test_service_without_streams_refuses_them(self) -> None:
        with serving(lambda c: c.serve(self.subject, lambda r: "never")):
            stream = self.client().stream(self.subject, "a")
            with self.assertRaises(millrace.Error) as caught:
                stream.result(PATIENCE_S)
            self.assertEqual(caught.exception.name, "EREMOTEIO")
            with self.assertRaises(millrace.Error) as again:
                stream.try_send("b")
            self.assertEqual(again.exception.name, "EREMOTEIO")
            self.assertEqual(list(stream_texts(stream)), ["EREMOTEIO"])

    def test_partial_replies_are_iterated_before_the_final_one(self) -> None:
        def handler(request: Request) -> None:
            request.respond("one", more=True)
            request.respond("two", more=True)

        def on_part(request: Request, part: Part) -> None:
            request.respond("three")

        with serving(lambda c: c.serve(self.subject, handler, on_part=on_part)):
            with self.client().stream(self.subject, "x") as stream:
                first = stream.receive(PATIENCE_S)
                self.assertEqual((first.text, first.more), ("one", True))
                stream.send(more=False, timeout=PATIENCE_S)
                self.assertEqual([(m.text, m.more) for m in stream],
                                 [("two", True), ("three", False)])
                with self.assertRaises(millrace.Error) as caught:
                    stream.receive(0)
                self.assertEqual(caught.exception.name, "ENOENT")

    def test_replies_come_to_a_callback(self) -> None:
        texts: List[str] = []
        with joining(self.subject):
            client = self.client()
            stream = client.stream(self.subject, "a", lambda reply: texts.append(reply.text))
            stream.send("b", more=False, timeout=PATIENCE_S)
            self.until(client, lambda: stream.ended)
        self.assertEqual(texts, ["a+b"])
        self.assertEqual(stream.result(0).text, "a+b")

    def test_worker_without_a_handler_iterates_over_parts(self) -> None:
        service = self.client().serve(self.subject, streams=True)
        replies: List[str] = []

        def call(client: millrace.Client, stop: threading.Event) -> None:
            caller.ready()
            with client.stream(self.subject, "a") as stream:
                for text in "bcd":
                    stream.send(text, more=text != "d", timeout=PATIENCE_S)
                replies.append(stream.result(PATIENCE_S).text)

        caller = Background(call)
        with caller:
            request = service.receive(PATIENCE_S)
            self.assertTrue(request.more)
            request.respond(request.text + "".join(part.text for part in request.parts))
            self.assertTrue(request.parts.complete)
            self.wait_for_thread(service.connection, caller)
        self.assertEqual(replies, ["abcd"])

    def test_parts_end_when_the_caller_gives_up(self) -> None:
        service = self.client().serve(self.subject, streams=True)

        def call(client: millrace.Client, stop: threading.Event) -> None:
            caller.ready()
            client.stream(self.subject, "a", timeout=0.3)
            while not stop.is_set():
                client.wait(0.02)

        caller = Background(call)
        with caller:
            request = service.receive(PATIENCE_S)
            with self.assertRaises(millrace.Error) as caught:
                for part in request.parts:
                    pass
            self.assertEqual(caught.exception.name, "ENOENT")
            self.assertTrue(request.recalled)

    def test_request_without_parts_says_so(self) -> None:
        service = self.client().serve(self.subject, streams=True)

        def call(client: millrace.Client, stop: threading.Event) -> None:
            caller.ready()
            client.call(self.subject, "a", timeout=PATIENCE_S)

        caller = Background(call)
        with caller:
            request = service.receive(PATIENCE_S)
            self.assertFalse(request.more)
            with self.assertRaises(ValueError):
                request.parts
            request.respond()
            self.wait_for_thread(service.connection, caller)

    def test_failed_on_part_tells_the_caller(self) -> None:
        def on_part(request: Request, part: Part) -> None:
            raise LookupError("no")

        raised: List[str] = []

        def function(client: millrace.Client, stop: threading.Event) -> None:
            client.serve(self.subject, lambda r: None, on_part=on_part)
            thread.ready()
            while not stop.is_set():
                try:
                    client.wait(0.02)
                except LookupError as error:
                    raised.append(str(error))

        thread = Background(function)
        with thread, self.client().stream(self.subject, "a") as stream:
            stream.send("b", timeout=PATIENCE_S)
            with self.assertRaises(millrace.Error) as caught:
                stream.result(PATIENCE_S)
            self.assertEqual(caught.exception.name, "EREMOTEIO")
        self.assertEqual(raised, ["no"])

    def test_closed_client_ends_its_streams(self) -> None:
        client = self.client()
        client.serve(self.subject, streams=True)
        stream = client.stream(self.subject, "a")
        client.close()
        self.assertTrue(stream.closed and stream.ended)
        with self.assertRaises(millrace.NotConnected):
            stream.try_send("b")

    def test_both_sides_hear_of_a_lost_connection(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        worker, caller = millrace.connect(bus.address), millrace.connect(bus.address)
        self.addCleanup(worker.close)
        self.addCleanup(caller.close)
        service = worker.serve("s", streams=True)
        stream = caller.stream("s", "a")

        def begun() -> bool:
            caller.wait(0.01)
            return len(service.inbox.items) == 1

        self.until(worker, begun)
        request = service.receive(0)
        bus.stop()
        with self.assertRaises(millrace.NotConnected):
            list(request.parts)
        with self.assertRaises(millrace.NotConnected):
            stream.result(PATIENCE_S)

    def wait_for_thread(self, client: Any, thread: threading.Thread) -> None:
        """Processes until the thread is done: it waits for answers that this client sends."""
        self.until(client, lambda: not thread.is_alive())


def stream_texts(stream: millrace.Stream) -> List[str]:
    """The replies, and the error that ends them."""
    texts: List[str] = []
    try:
        texts += [reply.text for reply in stream]
    except millrace.Error as error:
        texts.append(error.name)
    return texts


class AsyncStreams(AioTest):
    async def test_both_sides_under_asyncio(self) -> None:
        client = await self.client()

        async def handler(request: Request) -> str:
            texts = [request.text]
            async for part in request.parts:
                texts.append(part.text)
                request.respond("seen " + part.text, more=True)
            return "+".join(texts)

        async with client.serve(self.subject, handler, streams=True):
            async with client.stream(self.subject, "a") as stream:
                await stream.send("b")
                await stream.send("c", more=False)
                self.assertEqual([(r.text, r.more) async for r in stream],
                                 [("seen b", True), ("seen c", True), ("a+b+c", False)])

    async def test_slow_reader_holds_the_sender_back(self) -> None:
        """With few unread parts the worker's client stops reading, so the caller gets no more room."""
        worker, caller = await self.client(), await self.client()
        go, seen = asyncio.Event(), 0

        async def handler(request: Request) -> str:
            nonlocal seen
            await go.wait()
            async for part in request.parts:
                seen += 1
            return str(seen)

        async with worker.serve(self.subject, handler, streams=True, window=8, pending_max=8):
            async with caller.stream(self.subject, "a", timeout=PATIENCE_S) as stream:
                sent = 0
                try:
                    while sent < 10000:
                        await stream.send("x", timeout=0.5)
                        sent += 1
                except millrace.Timeout:
                    pass
                self.assertLess(sent, 100)
                self.assertGreaterEqual(sent, 8)
                go.set()
                await stream.send("last", more=False, timeout=PATIENCE_S)
                self.assertEqual((await stream.result(PATIENCE_S)).text, str(sent + 1))

    async def test_result_skips_partial_replies(self) -> None:
        client = await self.client()

        async def handler(request: Request) -> str:
            for _ in range(3):
                request.respond("part", more=True)
            async for part in request.parts:
                pass
            return "final"

        async with client.serve(self.subject, handler, streams=True):
            async with client.stream(self.subject) as stream:
                await stream.send(more=False)
                self.assertEqual((await stream.result(PATIENCE_S)).text, "final")
                self.assertEqual((await stream.result(0.1)).text, "final")

    async def test_nobody_there_is_no_responders(self) -> None:
        client = await self.client()
        async with client.stream(self.subject, "a") as stream:
            with self.assertRaises(millrace.NoResponders):
                await stream.result(PATIENCE_S)

    async def test_result_times_out(self) -> None:
        client = await self.client()

        async def handler(request: Request) -> None:
            async for part in request.parts:
                pass

        async with client.serve(self.subject, handler, streams=True):
            async with client.stream(self.subject, "a") as stream:
                with self.assertRaises(millrace.Timeout):
                    await stream.result(0.05)
        # The end of the service ended the handler, which is no failure to report.
        self.assertEqual(self.reported, [])


if __name__ == "__main__":
    unittest.main()
