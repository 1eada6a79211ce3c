# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio."""
import asyncio
import os
import signal
import socket
import threading
import time
import unittest
from typing import Any, Callable, Dict, List, Optional, Set

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
        #: What was told to the loop's exception handler.
        self.reported: List[Dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: self.reported.append(what))

    async def client(self, **options: Any) -> AsyncClient:
        client = AsyncClient(shared().address, **options)
        self.addAsyncCleanup(client.close)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Lets other tasks run until the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.001)


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
        self.assertEqual(len(client._sinks), 2)

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


class Opening(AioTest):
    async def ticks_during(self, awaitable: Any) -> int:
        """Awaits, and counts the steps of another task meanwhile."""
        count = 0

        async def tick() -> None:
            nonlocal count
            while True:
                await asyncio.sleep(0.005)
                count += 1

        ticking = asyncio.create_task(tick())
        try:
            await awaitable
        finally:
            ticking.cancel()
        return count

    async def test_tasks_go_on_while_a_connection_waits(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", 0))
            address = f"udp://127.0.0.1:{deaf.getsockname()[1]}"

            async def refused() -> None:
                with self.assertRaises(millrace.Timeout):
                    await AsyncClient.open(address, connect_timeout=0.5)

            self.assertGreaterEqual(await self.ticks_during(refused()), 5)
        async with await AsyncClient.open(["shm:/nowhere/attach.sock", shared().address]) as client:
            self.assertTrue(client.connected)

    async def test_tasks_go_on_while_control_does_not_answer(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        control = bus.control()
        threads: Set[int] = set()
        texts: List[str] = []

        def take(message: Message) -> None:
            threads.add(threading.get_ident())
            texts.append(message.text)

        async with await AsyncClient.open(bus.address, request_timeout=0.5) as client, \
                AsyncClient(bus.address) as other:
            await client.opening(client.subscribe, "a", take)
            read = await client.opening(client.subscribe, "a", pending_max=10000)
            os.kill(control, signal.SIGSTOP)
            try:
                async def refused() -> None:
                    opening = asyncio.create_task(client.opening(client.subscribe, "b"))
                    while not opening.done():
                        other.publish("a", str(len(texts)))
                        published.append(True)
                        await asyncio.sleep(0.005)
                    with self.assertRaises(millrace.Timeout):
                        await opening

                published: List[bool] = []
                self.assertGreaterEqual(await self.ticks_during(refused()), 5)
            finally:
                os.kill(control, signal.SIGCONT)
            for _ in published:
                await read.receive(PATIENCE_S)
            self.assertEqual(len(texts), len(published))
            self.assertEqual(threads, {threading.get_ident()})

    async def test_calls_meanwhile_wait_for_their_turn(self) -> None:
        client = await self.client()
        names = [f"{self.subject}.{n}" for n in range(20)]
        openings = [asyncio.create_task(client.opening(client.subscribe, name)) for name in names]
        await asyncio.sleep(0)
        client.publish(self.subject)  # waits, and does not use the client beside the other thread
        opened = await asyncio.gather(*openings)
        for name in names:
            client.publish(name, name)
        self.assertEqual([(await s.receive(PATIENCE_S)).text for s in opened], names)
        self.assertEqual((await client.opening(client.ping)).round_ns > 0, True)

    async def test_cancelled_opening_leaves_nothing_open(self) -> None:
        client = await self.client()
        opening = asyncio.create_task(client.opening(client.subscribe, self.subject))
        await asyncio.sleep(0)
        opening.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await opening
        while client._openings:
            await asyncio.wait(list(client._openings))
        with self.assertRaises(millrace.NoResponders):
            await client.request(self.subject, timeout=PATIENCE_S)

    async def test_handlers_of_a_service_run_in_the_loop(self) -> None:
        client = await self.client()

        async def handler(request: Request) -> str:
            return str(threading.get_ident())

        await client.opening(client.serve, self.subject, handler)
        reply = await client.call(self.subject, timeout=PATIENCE_S)
        self.assertEqual(reply.text, str(threading.get_ident()))


class Newer(AioTest):
    async def test_other_thread_posts_and_a_timer_ticks(self) -> None:
        client = await self.client()
        came: List[int] = []

        def post() -> None:
            for number in range(100):
                client.post(came.append, number)

        posting = threading.Thread(target=post)
        posting.start()
        ticks: List[bool] = []
        with client.timer(lambda: ticks.append(True)) as timer:
            timer.start(0.001, 0.001)
            while len(came) < 100 or len(ticks) < 3:
                await asyncio.sleep(0.001)
        posting.join()
        self.assertEqual(came, list(range(100)))

    async def test_subscription_ends_after_a_number_of_messages(self) -> None:
        client = await self.client()
        ended: List[bool] = []
        messages = client.subscribe(self.subject)
        messages.on_end(lambda: ended.append(True))
        messages.unsubscribe_after(3)
        for number in range(10):
            client.publish(self.subject, str(number))
        self.assertEqual([m.text async for m in messages], ["0", "1", "2"])
        self.assertTrue(messages.ended)
        while not ended:
            await asyncio.sleep(0.001)

    async def test_finish_hands_out_what_has_come(self) -> None:
        client = await self.client()
        messages = client.subscribe(self.subject)
        for number in range(100):
            client.publish(self.subject, str(number))
        await client.finish(PATIENCE_S)
        self.assertEqual(len([m async for m in messages]), 100)

    async def test_request_has_headers_and_gathers(self) -> None:
        client = await self.client()
        client.subscribe(self.subject, lambda m: m.reply("a" + m.headers["n"]))
        client.subscribe(self.subject, lambda m: m.reply("b" + m.headers["n"]))
        self.assertIn((await client.request(self.subject, headers={"n": "1"})).text, ("a1", "b1"))
        replies = await client.request_many(self.subject, headers={"n": "2"}, replies_max=2,
                                            timeout=PATIENCE_S)
        self.assertEqual(sorted(r.text for r in replies), ["a2", "b2"])


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

    async def test_outputs_go_with_the_ack_of_their_input(self) -> None:
        client = await self.client()
        queue = client.queue(self.subject, millrace.Promise.EXACTLY_ONCE)
        async with queue as inputs, client.queue(self.subject + ".out") as out:
            for number in range(20):
                await inputs.push(str(number))
            await client.settle(PATIENCE_S)
            async with client.consume(self.subject, manual=True) as jobs:
                for _ in range(20):
                    job = await jobs.pull(PATIENCE_S)
                    await jobs.settle_and_push(job, millrace.Output(out, job.text + "a"),
                                               millrace.Output(out, job.text + "b"))
        got: List[str] = []
        async with client.consume(self.subject + ".out") as results:
            while len(got) < 40:
                got.append((await results.pull(PATIENCE_S)).text)
        self.assertEqual(sorted(got), sorted(f"{n}{x}" for n in range(20) for x in "ab"))

    async def test_batch_waits_and_a_cancelled_task_loses_nothing(self) -> None:
        client = await self.client()
        jobs = client.consume(self.subject, manual=True)
        async with client.queue(self.subject) as queue:
            await queue.push("0")
            waiting = asyncio.create_task(jobs.pull_many(2, PATIENCE_S, wait=PATIENCE_S))
            while not jobs.inbox.items:
                await asyncio.sleep(0)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            await queue.push("1", delay_ms=50)
            batch = await jobs.pull_many(2, PATIENCE_S, wait=PATIENCE_S)
            self.assertEqual([job.text for job in batch], ["0", "1"])
            for job in batch:
                job.ack()
            await queue.push("last", key="a", every_ms=0)
            batch = await jobs.pull_many(2, PATIENCE_S, wait=0.05)
            self.assertEqual([job.text for job in batch], ["last"])
            await queue.push("never", delay_ms=60000, ticket=5)
            await client.settle(PATIENCE_S)
            await client.opening(client.cancel, self.subject, 5)
        await jobs.close()

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
