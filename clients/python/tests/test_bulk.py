# SPDX-License-Identifier: Apache-2.0
"""Claims, batches, requests of publishers, and the time and sender of messages."""
import time
import unittest
from typing import List

import millrace
from millrace import Message, Promise

from .bus import PATIENCE_S, Bus, BusTest, serving
from .test_aio import AioTest


class Claims(BusTest):
    def test_claim_is_written_in_place(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        publisher = client.publisher(self.subject)
        with publisher.claim(100) as claim:
            self.assertEqual(len(claim.payload), 100)
            claim.payload[:5] = b"hello"
            claim.commit(5)
            self.assertFalse(claim.open)
        with publisher.claim(3) as claim:
            claim.payload[:] = b"all"
        with publisher.claim(0):
            pass
        self.assertEqual([messages.receive(PATIENCE_S).text for _ in range(3)], ["hello", "all", ""])

    def test_exception_and_abort_publish_nothing(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        publisher = client.publisher(self.subject)
        with self.assertRaises(LookupError):
            with publisher.claim(10) as claim:
                raise LookupError
        with publisher.claim(10) as claim:
            claim.abort()
        with self.assertRaises(ValueError):
            claim.commit()
        publisher.send("after")
        self.assertEqual(messages.receive(PATIENCE_S).text, "after")

    def test_open_claim_refuses_other_calls(self) -> None:
        client = self.client()
        with client.publisher(self.subject).claim(10) as claim:
            with self.assertRaises(millrace.Error) as caught:
                client.publish(self.subject, "x")
            self.assertEqual(caught.exception.name, "EDEADLK")
            with self.assertRaises(ValueError):
                claim.commit(11)
            self.assertTrue(claim.open)

    def test_view_beyond_the_commit_is_found(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        publisher = client.publisher(self.subject)
        with self.assertRaises(BufferError):
            with publisher.claim(10) as claim:
                kept = claim.payload[2:]
        del kept
        with self.assertRaises(ValueError):
            claim.payload[0] = 1
        publisher.send("after")
        self.assertEqual(messages.receive(PATIENCE_S).text, "after")

    def test_batch_of_claims_publishes_the_first_ones(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        publisher = client.publisher(self.subject, Promise.AT_LEAST_ONCE)
        with publisher.claim_batch(4, 10) as claim:
            self.assertEqual(len(claim), 10)
            for number in range(10):
                claim[number][:] = number.to_bytes(4, "big")
            with self.assertRaises(IndexError):
                claim[10]
            claim.commit(7)
        client.settle(PATIENCE_S)
        self.assertEqual([int.from_bytes(messages.receive(PATIENCE_S).payload, "big")
                          for _ in range(7)], list(range(7)))
        publisher.send("next")
        self.assertEqual(messages.receive(PATIENCE_S).text, "next")

    def test_claim_of_a_closed_publisher_is_closed(self) -> None:
        client = self.client()
        publisher = client.publisher(self.subject)
        claim = publisher.claim(10)
        publisher.close()
        self.assertFalse(claim.open)
        claim.abort()
        client.publish(self.subject, "the client goes on")


class Batches(BusTest):
    def test_send_batch_sends_more_than_the_ring_holds(self) -> None:
        receiver, client = self.client(), self.client()
        numbers: List[int] = []

        def take(messages: List[Message]) -> None:
            numbers.extend(int.from_bytes(m.payload[:4], "big") for m in messages)

        subscription = receiver.subscribe(self.subject, batch=take, promise=Promise.AT_LEAST_ONCE)
        publisher = client.publisher(self.subject, Promise.AT_LEAST_ONCE)
        payloads = [n.to_bytes(4, "big") + bytes(1000) for n in range(2000)]
        sent = 0
        while sent < len(payloads):
            sent += publisher.try_send_batch(payloads[sent:])
            client.process()
            receiver.process()
        publisher.send_batch([b"\0\0\xff\xff"] * 3, timeout=PATIENCE_S)
        self.until(receiver, lambda: len(numbers) == 2003)
        self.assertEqual(numbers, list(range(2000)) + [65535] * 3)
        self.assertEqual(subscription.count, 2003)

    def test_batch_callback_gets_many_at_a_time(self) -> None:
        client = self.client()
        sizes: List[int] = []
        texts: List[str] = []

        def take(messages: List[Message]) -> None:
            sizes.append(len(messages))
            for m in messages:
                self.assertEqual((m.subject, m.headers.get("n")), (self.subject, m.text))
                texts.append(m.text)

        client.subscribe(self.subject, batch=take)
        client.cork(True)
        for number in range(100):
            client.publish(self.subject, f"{number:03}", {"n": f"{number:03}"})
        client.cork(False)
        self.until(client, lambda: len(texts) == 100)
        self.assertEqual(texts, [f"{n:03}" for n in range(100)])
        self.assertGreater(max(sizes), 1)

    def test_kept_view_of_a_batch_is_found(self) -> None:
        client = self.client()
        kept: List[memoryview] = []
        client.subscribe(self.subject, batch=lambda messages: kept.append(messages[0].payload[1:]))
        client.publish(self.subject, "text")
        with self.assertRaises(BufferError):
            self.until(client, lambda: False)
        kept.clear()

    def test_two_kinds_of_callbacks_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            self.client().subscribe(self.subject, lambda m: None, batch=lambda m: None)

    def test_receive_many_returns_those_that_are_there(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        for number in range(10):
            client.publish(self.subject, str(number))
        self.until(client, lambda: messages.count == 10)
        self.assertEqual([m.text for m in messages.receive_many(4, PATIENCE_S)], list("0123"))
        self.assertEqual([m.text for m in messages.receive_many()], list("456789"))
        with self.assertRaises(millrace.Timeout):
            messages.receive_many(timeout=0)

    def test_pull_many_acknowledges_all_of_the_last_call(self) -> None:
        client = self.client()
        with client.queue(self.subject) as queue:
            for number in range(10):
                queue.push(str(number))
        client.settle(PATIENCE_S)
        with client.consume(self.subject, prefetch=10) as consumer:
            self.until(client, lambda: len(consumer.inbox.items) == 10)
            first = consumer.pull_many(6, PATIENCE_S)
            self.assertEqual([d.text for d in first], list("012345"))
            self.assertEqual([d.settled for d in first], [False] * 6)
            first[0].nack(requeue=False)
            self.assertEqual([d.text for d in consumer.pull_many(6, PATIENCE_S)], list("6789"))
            self.assertEqual([d.settled for d in first], [True] * 6)
        with client.consume(self.subject) as rest:
            again = rest.pull_many(10, PATIENCE_S)
            self.assertEqual({d.text for d in again} - set("6789"), set())
        with client.dead_letters(self.subject) as dead:
            self.assertEqual(dead.pull(PATIENCE_S).text, "0")


class PublisherRequests(BusTest):
    def test_publisher_gets_the_first_reply(self) -> None:
        with serving(lambda c: c.subscribe(self.subject, lambda m: m.reply(m.text.upper()))):
            publisher = self.client().publisher(self.subject)
            self.assertEqual([publisher.request(t, timeout=PATIENCE_S).text for t in ("a", "b")],
                             ["A", "B"])

    def test_its_errors_are_those_of_requests(self) -> None:
        client = self.client()
        publisher = client.publisher(self.subject)
        with self.assertRaises(millrace.NoResponders):
            publisher.request("a")
        client.subscribe(self.subject)
        with self.assertRaises(millrace.Timeout):
            publisher.request("a", timeout=0.05)

    def test_callback_cannot_wait_for_a_reply(self) -> None:
        client = self.client()
        publisher = client.publisher(self.subject)
        client.subscribe(self.subject, lambda m: publisher.request("again"))
        client.publish(self.subject)
        with self.assertRaises(millrace.Error) as caught:
            self.until(client, lambda: False)
        self.assertEqual(caught.exception.name, "EDEADLK")


class Stamps(BusTest):
    def test_time_is_told_to_those_who_ask(self) -> None:
        client = self.client()
        asks = client.subscribe(self.subject, time=True)
        others = client.subscribe(self.subject)
        before = time.time_ns()
        client.publish(self.subject, "x", {"a": "b"})
        message = asks.receive(PATIENCE_S)
        self.assertGreater(message.time_ns, before - 10**9)
        self.assertLess(message.time_ns, time.time_ns() + 10**9)
        self.assertEqual((message.sender, message.sender_name), (0, ""))
        self.assertEqual(message.copy().time_ns, message.time_ns)
        self.assertEqual(others.receive(PATIENCE_S).time_ns, 0)

    def test_bus_that_does_not_show_senders_refuses(self) -> None:
        with self.assertRaises(millrace.Error) as caught:
            self.client().subscribe(self.subject, sender=True)
        self.assertEqual(caught.exception.name, "EPERM")

    def test_sender_is_the_session_and_name_of_the_publisher(self) -> None:
        bus = Bus("--set", "sessions.show_sender=true")
        self.addCleanup(bus.remove)
        with millrace.connect(bus.address, name="teller") as teller, \
                millrace.connect(bus.address) as hearer:
            each = hearer.subscribe("a", sender=True)
            stamps: List[object] = []
            hearer.subscribe("a", time=True, sender=True, batch=lambda messages: stamps.extend(
                (m.sender, m.sender_name, m.time_ns > 0) for m in messages))
            teller.publish("a", "x")
            message = each.receive(PATIENCE_S)
            session = teller.stats().session
            self.assertEqual((message.sender, message.sender_name, message.time_ns),
                             (session, "teller", 0))
            self.until(hearer, lambda: len(stamps) == 1)
            self.assertEqual(stamps, [(session, "teller", True)])


class AsyncBulk(AioTest):
    async def test_claims_batches_and_stamps(self) -> None:
        client = await self.client()
        messages = client.subscribe(self.subject, time=True)
        publisher = client.publisher(self.subject)
        with await publisher.claim(5) as claim:
            claim.payload[:] = b"claim"
        with await publisher.claim_batch(1, 3) as claims:
            for number in range(3):
                claims[number][:] = b"%d" % number
        await publisher.send_batch(["x", b"y"])
        got: List[Message] = []
        while len(got) < 6:
            got += await messages.receive_many(timeout=PATIENCE_S)
        self.assertEqual([m.text for m in got], ["claim", "0", "1", "2", "x", "y"])
        self.assertTrue(all(m.time_ns > 0 for m in got))

    async def test_batch_callback(self) -> None:
        client = await self.client()
        texts: List[str] = []
        client.subscribe(self.subject, batch=lambda messages: texts.extend(m.text for m in messages))
        await client.publisher(self.subject).send_batch(["a", "b", "c"])
        await client.drain(PATIENCE_S)
        await self.until(lambda: len(texts) == 3)
        self.assertEqual(texts, ["a", "b", "c"])

    async def test_pull_many(self) -> None:
        client = await self.client()
        queue = client.queue(self.subject)
        for number in range(5):
            await queue.push(str(number))
        texts: List[str] = []
        async with client.consume(self.subject) as consumer:
            while len(texts) < 5:
                texts += [d.text for d in await consumer.pull_many(timeout=PATIENCE_S)]
        self.assertEqual(texts, list("01234"))

    async def test_publisher_request(self) -> None:
        client = await self.client()
        client.subscribe(self.subject, lambda m: m.reply(m.text.upper()))
        publisher = client.publisher(self.subject)
        self.assertEqual((await publisher.request("a", timeout=PATIENCE_S)).text, "A")
        with self.assertRaises(millrace.NoResponders):
            await client.publisher(self.subject + ".none").request("a")


if __name__ == "__main__":
    unittest.main()
