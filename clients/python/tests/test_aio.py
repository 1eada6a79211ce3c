# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio."""
import asyncio
import threading
import time
import unittest
from typing import Any, Dict, List, Optional

import millrace
from millrace import AsyncClient, Message, Promise, Request

from .bus import PATIENCE_S, Bus, BusTest, shared


class AioTest(unittest.IsolatedAsyncioTestCase):
    """A test with asynchronous clients of the shared bus."""

    def setUp(self) -> None:
        BusTest._number += 1
        self.subject = f"test.{BusTest._number}"

    async def asyncSetUp(self) -> None:
        # The loop of these tests is in debug mode, and would tell of a busy machine.
        asyncio.get_running_loop().slow_callback_duration = PATIENCE_S

    async def client(self, **options: Any) -> AsyncClient:
        client = AsyncClient(shared().address, **options)
        self.addAsyncCleanup(client.close)
        return client


class Subjects(AioTest):
    async def test_async_for_gives_messages_in_order(self) -> None:
        client = await self.client()
        texts: List[str] = []
        async with client.subscribe(self.subject) as messages:
            for number in range(1000):
                client.publish(self.subject, str(number), {"n": str(number)})
            async for message in messages:
                self.assertEqual(message.headers["n"], message.text)
                texts.append(message.text)
                if len(texts) == 1000:
                    break
        self.assertEqual(texts, [str(n) for n in range(1000)])

    async def test_no_thread_is_started(self) -> None:
        before = threading.active_count()
        client = await self.client()
        messages = client.subscribe(self.subject)
        client.publish(self.subject)
        await messages.receive(PATIENCE_S)
        self.assertEqual(threading.active_count(), before)

    async def test_other_tasks_run_while_one_waits(self) -> None:
        client = await self.client()
        messages = client.subscribe(self.subject)
        receiving = asyncio.create_task(messages.receive(PATIENCE_S))
        ticks = 0
        for _ in range(5):
            await asyncio.sleep(0)
            ticks += 1
        self.assertFalse(receiving.done())
        client.publish(self.subject, b"now")
        self.assertEqual((await receiving).text, "now")

    async def test_receive_times_out(self) -> None:
        messages = (await self.client()).subscribe(self.subject)
        for timeout in (0, 0.02):
            with self.assertRaises(millrace.Timeout):
                await messages.receive(timeout)
        self.assertEqual(messages.inbox.waiters, [])

    async def test_close_ends_async_for(self) -> None:
        client = await self.client()
        messages = client.subscribe(self.subject)

        async def read() -> int:
            return len([m async for m in messages])

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        client.publish(self.subject)
        while messages.count == 0:
            await asyncio.sleep(0.001)
        await messages.close()
        self.assertEqual(await asyncio.wait_for(reading, PATIENCE_S), 1)

    async def test_unread_messages_are_bounded_and_counted(self) -> None:
        client = await self.client()
        messages = client.subscribe(self.subject, pending_max=10)
        for number in range(25):
            client.publish(self.subject, str(number))
        while messages.count < 25:
            await asyncio.sleep(0.001)
        self.assertEqual(messages.missed, 15)
        self.assertEqual([(await messages.receive(0)).text for _ in range(10)],
                         [str(n) for n in range(10)])

    async def test_full_promised_subscription_holds_the_publisher_back(self) -> None:
        receiver, sender = await self.client(), await self.client()
        messages = receiver.subscribe(self.subject, promise=Promise.AT_LEAST_ONCE, pending_max=10)
        publisher = sender.publisher(self.subject, Promise.AT_LEAST_ONCE)
        payload = bytes(8000)
        count = 0
        while count < 100000:
            try:
                await publisher.send(count.to_bytes(4, "big") + payload, timeout=0.3)
            except millrace.Timeout:
                break
            count += 1
        self.assertLess(count, 100000, "the publisher was never held back")
        self.assertLess(len(messages.inbox.items), 300)
        got = [int.from_bytes((await messages.receive(PATIENCE_S)).payload[:4], "big")
               for _ in range(count)]
        self.assertEqual(got, list(range(count)))
        self.assertEqual(messages.missed, 0)
        await sender.settle(PATIENCE_S)

    async def test_exception_of_a_callback_goes_to_the_loop(self) -> None:
        reported: List[Dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        client = await self.client()
        client.subscribe(self.subject, lambda m: 1 / 0)
        client.publish(self.subject)
        while not reported:
            await asyncio.sleep(0.001)
        self.assertIsInstance(reported[0]["exception"], ZeroDivisionError)
        self.assertTrue(client.connected)


class Answers(AioTest):
    async def test_many_requests_at_once(self) -> None:
        client, other = await self.client(), await self.client()
        other.subscribe(self.subject, lambda m: m.reply(m.text.upper()))
        replies = await asyncio.gather(*(client.request(self.subject, f"a{n}", timeout=PATIENCE_S)
                                         for n in range(200)))
        self.assertEqual([r.text for r in replies], [f"A{n}" for n in range(200)])
        self.assertEqual(len(client._sinks), 1)

    async def test_errors_of_requests(self) -> None:
        client = await self.client()
        with self.assertRaises(millrace.NoResponders):
            await client.request(self.subject)
        client.subscribe(self.subject)
        with self.assertRaises(millrace.Timeout):
            await client.request(self.subject, timeout=0.05)
        with self.assertRaises(millrace.Error):
            await client.request("a..b")

    async def test_cancelled_request_is_forgotten(self) -> None:
        client = await self.client()
        kept: List[Message] = []
        client.subscribe(self.subject, lambda m: kept.append(m))
        task = asyncio.create_task(client.request(self.subject, timeout=PATIENCE_S))
        while not kept:
            await asyncio.sleep(0.001)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        kept[0].reply(b"late")
        self.assertEqual(client._futures, set())
        other = client.subscribe(self.subject + ".2")
        client.publish(self.subject + ".2", b"on")
        self.assertEqual((await other.receive(PATIENCE_S)).text, "on")

    async def test_close_fails_open_requests(self) -> None:
        client, other = await self.client(), await self.client()
        asked = other.subscribe(self.subject)
        task = asyncio.create_task(client.request(self.subject, timeout=PATIENCE_S))
        await asked.receive(PATIENCE_S)
        await client.close()
        with self.assertRaises(millrace.NotConnected):
            await task

    async def test_handlers_run_side_by_side(self) -> None:
        client, server = await self.client(), await self.client()
        both = asyncio.Event()
        running = 0

        async def handler(request: Request) -> Optional[str]:
            nonlocal running
            running += 1
            if running == 2:
                both.set()
            await both.wait()
            return request.text.upper()

        server.serve(self.subject, handler, prefetch=2)
        replies = await asyncio.gather(*(client.call(self.subject, t, timeout=PATIENCE_S)
                                         for t in ("a", "b")))
        self.assertEqual([r.text for r in replies], ["A", "B"])

    async def test_partial_replies_come_before_the_final_one(self) -> None:
        client, server = await self.client(), await self.client()
        parts: List[str] = []

        async def handler(request: Request) -> str:
            for number in range(3):
                self.assertGreater(request.room, 0)
                request.respond(str(number), more=True)
            return "end"

        async with server.serve(self.subject, handler):
            reply = await client.call(self.subject, b"", {"h": "1"}, timeout=PATIENCE_S,
                                      on_part=lambda m: parts.append(m.text))
        self.assertEqual((parts, reply.text), (["0", "1", "2"], "end"))

    async def test_failed_handler_tells_the_caller_and_the_loop(self) -> None:
        reported: List[Dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        client, server = await self.client(), await self.client()

        async def handler(request: Request) -> str:
            raise LookupError("no")

        server.serve(self.subject, handler)
        with self.assertRaises(millrace.Error) as caught:
            await client.call(self.subject, b"", timeout=PATIENCE_S, retries=0)
        self.assertEqual(caught.exception.name, "EREMOTEIO")
        self.assertIsInstance(reported[0]["exception"], LookupError)

    async def test_service_without_a_handler_is_read(self) -> None:
        client, server = await self.client(), await self.client()
        service = server.serve(self.subject)
        calling = asyncio.create_task(client.call(self.subject, "x", timeout=PATIENCE_S))
        async for request in service:
            request.respond(request.text + "y", {"a": "1"})
            break
        reply = await calling
        self.assertEqual((reply.text, reply.headers["a"]), ("xy", "1"))
        with self.assertRaises(millrace.NoResponders):
            await client.call(self.subject + ".none")


class Queues(AioTest):
    async def test_push_pull_and_settle(self) -> None:
        client = await self.client()
        async with client.queue(self.subject) as queue:
            for number in range(50):
                await queue.push(str(number))
            await client.settle(PATIENCE_S)
            self.assertEqual(queue.unaccepted, 0)
        got: List[str] = []
        async with client.consume(self.subject, prefetch=8) as jobs:
            async for job in jobs:
                got.append(job.text)
                if len(got) == 50:
                    job.ack()
                    break
        self.assertEqual(got, [str(n) for n in range(50)])
        async with client.consume(self.subject) as jobs:
            with self.assertRaises(millrace.Timeout):
                await jobs.pull(0.05)

    async def test_dead_letters(self) -> None:
        client = await self.client()
        async with client.queue(self.subject) as queue:
            await queue.push("bad")
        async with client.consume(self.subject, manual=True) as jobs:
            (await jobs.pull(PATIENCE_S)).nack(requeue=False)
        async with client.dead_letters(self.subject) as dead:
            self.assertEqual((await dead.pull(PATIENCE_S)).text, "bad")


class Restart(AioTest):
    async def test_client_reconnects(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        states: List[bool] = []
        async with AsyncClient(bus.address, on_state=lambda up, error: states.append(up)) as client:
            messages = client.subscribe("a")
            bus.stop()
            deadline = time.monotonic() + PATIENCE_S
            while not states:
                self.assertLess(time.monotonic(), deadline)
                await asyncio.sleep(0.01)
            client.publish("a", b"kept")
            bus.start()
            self.assertEqual((await messages.receive(PATIENCE_S)).text, "kept")
        self.assertEqual(states, [False, True])

    async def test_receiver_that_does_not_reconnect_fails(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        async with AsyncClient(bus.address, reconnect=False) as client:
            receiving = asyncio.create_task(client.subscribe("a").receive(PATIENCE_S))
            await asyncio.sleep(0)
            bus.stop()
            with self.assertRaises(millrace.NotConnected):
                await receiving


if __name__ == "__main__":
    unittest.main()
