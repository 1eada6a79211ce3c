# SPDX-License-Identifier: Apache-2.0
"""Queues, settlement, dead letters; promised publishing."""
import time
import unittest
from typing import Callable, List, Optional, Tuple

import millrace
from millrace import (Delivery, Output, Policy, Priority, Promise, QueueOptions, SingleActive, WhenExpired,
                      WhenFull)

from .bus import BusTest


class Queues(BusTest):
    def push(self, client: millrace.Client, *payloads: str) -> None:
        with client.queue(self.subject) as queue:
            for payload in payloads:
                queue.push(payload)
            client.settle(10)
            self.assertEqual(queue.unaccepted, 0)

    def test_pull_gets_what_was_pushed_before(self) -> None:
        client = self.client()
        self.push(client, "1", "2", "3")
        with client.consume(self.subject, manual=True) as consumer:
            for expected in ("1", "2", "3"):
                job = consumer.pull(10)
                self.assertEqual((job.text, job.redelivered, job.attempts), (expected, 0, 0))
                job.ack()
            with self.assertRaises(millrace.Timeout):
                consumer.pull(0.01)

    def test_messages_of_one_key_come_one_after_the_other(self) -> None:
        client = self.client()
        with client.queue(self.subject, options=QueueOptions(policy=Policy.KEY_SHARED)) as queue:
            for key, text in (("a", "a1"), ("a", "a2"), ("b", "b1")):
                queue.push(text, key=key)
            client.settle(10)
        with client.consume(self.subject, manual=True) as consumer:
            jobs = [consumer.pull(10), consumer.pull(10)]
            self.assertEqual(sorted(job.text for job in jobs), ["a1", "b1"])
            with self.assertRaises(millrace.Timeout):
                consumer.pull(0.05)
            for job in jobs:
                self.assertEqual(job.headers["Millrace-Key"], job.text[0])
                job.ack()
            self.assertEqual(consumer.pull(10).text, "a2")

    def test_ticket_takes_back_what_waits(self) -> None:
        client = self.client()
        with client.queue(self.subject) as queue:
            tickets = [queue.ticket(), queue.ticket()]
            self.assertNotEqual(tickets[0], tickets[1])
            queue.push("late", delay_ms=60000, ticket=tickets[0])
            queue.push("again", every_ms=60000, ticket=tickets[1])
            client.settle(10)
            for ticket in tickets:
                queue.cancel(ticket)
                with self.assertRaises(millrace.Error) as caught:
                    queue.cancel(ticket)
                self.assertEqual(caught.exception.name, "ESRCH")
            with self.assertRaises(millrace.Error) as caught:
                queue.push("x", cron="0 8 * * *")
            self.assertEqual(caught.exception.name, "EINVAL")

    def test_another_client_cancels_by_a_number_of_its_own(self) -> None:
        client, other = self.client(), self.client()
        with client.queue(self.subject) as queue:
            queue.push("late", delay_ms=60000, ticket=17)
            client.settle(10)
        other.cancel(self.subject, 17)
        for name, error in ((self.subject, "ESRCH"), (self.subject + ".none", "ENOENT")):
            with self.assertRaises(millrace.Error) as caught:
                other.cancel(name, 17)
            self.assertEqual(caught.exception.name, error)

    def test_key_may_be_in_a_header(self) -> None:
        client = self.client()
        options = QueueOptions(policy=Policy.KEY_SHARED, key_from="header Customer", in_flight_per_key=1)
        with client.queue(self.subject, options=options) as queue:
            for customer, text in (("ann", "a1"), ("ann", "a2"), ("ben", "b1")):
                queue.push(text, {"Customer": customer})
            client.settle(10)
        with client.consume(self.subject, manual=True, options=options) as consumer:
            jobs = consumer.pull_many(2, 10, wait=10)
            self.assertEqual([job.text for job in jobs], ["a1", "b1"])
            with self.assertRaises(millrace.Timeout):
                consumer.pull(0.05)
            jobs[0].ack()
            self.assertEqual(consumer.pull(10).text, "a2")
        with self.assertRaises(millrace.Error) as caught:
            client.queue(self.subject, options=QueueOptions(key_from="token 1"))
        self.assertEqual(caught.exception.name, "EEXIST")

    def test_failed_attempts_come_later_and_end_as_dead_letters_of_a_name(self) -> None:
        client = self.client()
        errors = self.subject + ".errors"
        options = QueueOptions(max_deliver=2, retry_min_ms=100, retry_max_ms=1000, retry_factor=150,
                               retry_jitter=20, dead_letter=errors)
        with client.queue(self.subject, options=options) as queue:
            queue.push("mail")
        with client.consume(self.subject, manual=True, options=options) as consumer:
            first = consumer.pull(10)
            self.assertNotEqual(first.number, 0)
            first.nack(error="no host")
            self.assertEqual(first.number, 0)
            begun = time.monotonic()
            second = consumer.pull(10)
            self.assertGreaterEqual(time.monotonic() - begun, 0.05)
            self.assertEqual((second.attempts, second.headers["Millrace-Error"]), (1, "no host"))
            second.nack(error="still no host")
        letter = client.consume(errors).pull(10)
        self.assertEqual(
            [letter.headers["Millrace-" + name] for name in ("Dead-Queue", "Dead-Reason", "Error")],
            [self.subject, "max-deliver", "still no host"])
        with self.assertRaises(millrace.Error) as caught:
            client.queue(self.subject, options=QueueOptions(dead_letter="none"))
        self.assertEqual(caught.exception.name, "EEXIST")
        with self.assertRaises(millrace.Error) as caught:
            client.queue(self.subject + ".bad", options=QueueOptions(retry_factor=1, retry_min_ms=1))
        self.assertEqual(caught.exception.name, "EINVAL")

    def test_expired_message_becomes_a_dead_letter_if_asked(self) -> None:
        client = self.client()
        options = QueueOptions(when_expired=WhenExpired.DEAD_LETTER, single_active=SingleActive.YES)
        with client.queue(self.subject, options=options) as queue:
            queue.push("old", ttl_ms=1, delay_ms=50)
        letter = client.dead_letters(self.subject).pull(10)
        self.assertEqual((letter.text, letter.headers["Millrace-Dead-Reason"]), ("old", "expired"))

    def test_options_of_queues_are_refused_for_services(self) -> None:
        with self.assertRaises(ValueError):
            self.client().serve(self.subject, options=QueueOptions(dead_letter="none"))

    def test_batch_waits_for_its_number_or_its_time(self) -> None:
        client = self.client()
        consumer = client.consume(self.subject, manual=True)
        with client.queue(self.subject) as queue:
            for number in range(3):
                queue.push(str(number), delay_ms=50 * number)
            jobs = consumer.pull_many(3, 10, wait=10)
            self.assertEqual([job.text for job in jobs], ["0", "1", "2"])
            for job in jobs:
                job.ack()
            queue.push("last")
            self.assertEqual([job.text for job in consumer.pull_many(2, 10, wait=0.05)], ["last"])

    def test_attempts_elsewhere_count(self) -> None:
        client = self.client()
        with client.queue(self.subject) as queue:
            queue.push("moved", attempts=3)
        self.assertEqual(client.consume(self.subject, manual=True).pull(10).attempts, 3)

    def test_callback_may_take_longer_than_the_time_out(self) -> None:
        client, other = self.client(), self.client()
        others: List[Delivery] = []
        came: List[str] = []

        def work(job: Delivery) -> None:
            came.append(job.text)
            other.consume(self.subject, others.append)
            deadline = time.monotonic() + 1.2
            while time.monotonic() < deadline:
                other.wait(0.05)

        consumer = client.consume(self.subject, work, options=QueueOptions(ack_timeout_ms=500),
                                  renew_max_ms=20000)
        self.assertEqual(consumer.ack_timeout_ms, 500)
        client.queue(self.subject).push("long")
        self.until(client, lambda: bool(came))
        self.assertEqual((came, others), (["long"], []))

    def test_second_settlement_is_enoent(self) -> None:
        client = self.client()
        self.push(client, "1")
        job = client.consume(self.subject, manual=True).pull(10)
        job.ack()
        settlements: List[Callable[[], None]] = [job.ack, job.nack, job.give_back, job.progress]
        for again in settlements:
            with self.assertRaises(millrace.Error) as caught:
                again()
            self.assertEqual(caught.exception.name, "ENOENT")

    def test_rejected_message_comes_again_and_then_to_the_dead_letters(self) -> None:
        client = self.client()
        options = QueueOptions(max_deliver=2)
        with client.queue(self.subject, options=options) as queue:
            queue.push("bad", {"why": "x"})
            client.settle(10)
        with client.consume(self.subject, manual=True) as consumer:
            self.assertEqual(consumer.max_deliver, 2)
            for attempt in range(2):
                job = consumer.pull(10)
                self.assertEqual(job.attempts, attempt)
                job.nack()
        with client.dead_letters(self.subject, manual=True) as dead:
            letter = dead.pull(10)
            self.assertEqual((letter.text, letter.headers["why"]), ("bad", "x"))
            letter.ack()

    def test_nack_with_an_error_keeps_it_with_the_message(self) -> None:
        client = self.client()
        client.queue(self.subject).push("x")
        jobs = client.consume(self.subject, manual=True)
        jobs.retry_delay(1)
        jobs.pull(10).nack(error="disk full")
        again = jobs.pull(10)
        self.assertEqual(again.headers["Millrace-Error"], "disk full")
        self.assertEqual(again.attempts, 1)
        again.ack()

    def test_nack_without_requeue_is_a_dead_letter_at_once(self) -> None:
        client = self.client()
        self.push(client, "bad")
        client.consume(self.subject, manual=True).pull(10).nack(requeue=False)
        self.assertEqual(client.dead_letters(self.subject).pull(10).text, "bad")

    def test_given_back_message_is_no_attempt(self) -> None:
        client = self.client()
        self.push(client, "1")
        consumer = client.consume(self.subject, manual=True)
        consumer.pull(10).give_back()
        again = consumer.pull(10)
        self.assertEqual((again.attempts, again.text), (0, "1"))

    def test_paused_consumer_gets_nothing_until_it_resumes(self) -> None:
        client = self.client()
        with client.consume(self.subject, tag="mailer", prefetch_bytes=4096) as consumer:
            consumer.pause()
            self.push(client, "1")
            with self.assertRaises(millrace.Timeout):
                consumer.pull(0.2)
            consumer.resume()
            self.assertEqual(consumer.pull(10).text, "1")

    def test_rate_holds_messages_back(self) -> None:
        client = self.client()
        self.push(client, "1", "2")
        with client.consume(self.subject, rate=0.01) as consumer:
            self.assertEqual(consumer.pull(10).text, "1")
            with self.assertRaises(millrace.Timeout):
                consumer.pull(0.2)

    def test_next_pull_acknowledges_the_one_before(self) -> None:
        client = self.client()
        self.push(client, "1", "2")
        with client.consume(self.subject) as consumer:
            self.assertEqual([consumer.pull(10).text, consumer.pull(10).text], ["1", "2"])
        left = client.consume(self.subject, manual=True).pull(10)
        self.assertEqual((left.text, left.redelivered), ("2", 1))

    def test_callback_that_returns_acknowledges(self) -> None:
        client = self.client()
        self.push(client, "1", "2")
        seen: List[str] = []
        with client.consume(self.subject, lambda d: seen.append(d.text)):
            self.until(client, lambda: len(seen) == 2)
        with client.consume(self.subject) as consumer, self.assertRaises(millrace.Timeout):
            consumer.pull(0.05)

    def test_delivery_that_nobody_settles_is_recalled(self) -> None:
        client, other = self.client(), self.client()
        with client.queue(self.subject, options=QueueOptions(ack_timeout_ms=100)) as queue:
            queue.push("slow")
            client.settle(10)
        slow = client.consume(self.subject, manual=True)
        slow.renew(False)
        job = slow.pull(10)
        second = other.consume(self.subject, manual=True).pull(30)
        self.assertEqual((second.text, second.redelivered), ("slow", 1))
        second.ack()
        self.until(client, lambda: job.recalled)
        with self.assertRaises(millrace.Error):
            job.ack()

    def test_priority_comes_first(self) -> None:
        client = self.client()
        with client.queue(self.subject) as queue:
            queue.push("low", priority=Priority.LOW)
            queue.push("normal")
            queue.push("high", priority=Priority.HIGH)
            queue.push("first", priority=Priority.LEVEL_9)
            client.settle(10)
        jobs = client.consume(self.subject)
        pulled = [jobs.pull(10) for _ in range(4)]
        self.assertEqual([(job.text, job.level) for job in pulled],
                         [("first", 9), ("high", 7), ("normal", 4), ("low", 1)])

    def test_outcomes_name_refused_pushes(self) -> None:
        client = self.client()
        outcomes: List[Tuple[int, Optional[str]]] = []
        options = QueueOptions(messages_max=2, when_full=WhenFull.REFUSE)
        with client.queue(self.subject, options=options, on_outcome=lambda number, error:
                          outcomes.append((number, error.name if error else None))) as queue:
            numbers = [queue.push(b"x") for _ in range(3)]
            with self.assertRaises(millrace.Error) as caught:
                client.settle(30)
        self.assertEqual(caught.exception.name, "EBUSY")
        self.assertEqual(sorted(outcomes), list(zip(numbers, [None, None, "EBUSY"])))

    def test_other_options_are_eexist(self) -> None:
        client = self.client()
        client.queue(self.subject, options=QueueOptions(policy=Policy.RANDOM))
        with self.assertRaises(millrace.Error) as caught:
            client.queue(self.subject, options=QueueOptions(policy=Policy.WEIGHTED))
        self.assertEqual(caught.exception.name, "EEXIST")

    def test_closed_handle_is_enoent(self) -> None:
        client = self.client()
        queue = client.queue(self.subject)
        queue.close()
        with self.assertRaises(millrace.Error) as caught:
            queue.push(b"")
        self.assertEqual(caught.exception.name, "ENOENT")

    def test_exactly_once_numbers_go_through_a_pipeline(self) -> None:
        client = self.client()
        with client.queue(self.subject, Promise.EXACTLY_ONCE, publisher="p" + self.subject,
                          next_id=1) as queue:
            for number in (1, 2, 2, 1):
                if queue.try_push(str(number), id=number) is not None:
                    client.settle(10)
        jobs: List[Delivery] = []
        consumer = client.consume(self.subject, manual=True)
        for _ in range(2):
            jobs.append(consumer.pull(10))
        self.assertEqual([(j.text, j.id) for j in jobs], [("1", 1), ("2", 2)])
        self.assertNotEqual(jobs[0].publisher, 0)
        with self.assertRaises(millrace.Timeout):
            consumer.pull(0.05)


    def test_message_lives_for_its_time_and_waits_for_its_delay(self) -> None:
        client = self.client()
        consumer = client.consume(self.subject, manual=True)
        with client.queue(self.subject) as queue:
            queue.push("late", delay_ms=200)
            queue.push("now")
            client.settle(10)
            self.assertEqual([consumer.pull(10).text for _ in range(2)], ["now", "late"])
        with client.queue(self.subject + ".ttl") as queue:
            queue.push("short", ttl_ms=1, delay_ms=100)
            queue.push("long", ttl_ms=100000, delay_ms=200)
            client.settle(10)
        self.assertEqual(client.consume(self.subject + ".ttl").pull(10).text, "long")

    def test_outputs_go_with_the_ack_of_their_input(self) -> None:
        client = self.client()
        left, right = client.queue(self.subject + ".l"), client.queue(self.subject + ".r")
        with client.queue(self.subject, Promise.EXACTLY_ONCE) as queue:
            queue.push("order")
            client.settle(10)
        consumer = client.consume(self.subject, manual=True)
        order = consumer.pull(10)
        consumer.settle_and_push(order, Output(left, "1"), Output(left, "2"),
                                 Output(right, order.payload, headers={"a": "b"}))
        taken = client.consume(self.subject + ".l")
        jobs = [taken.pull(10) for _ in range(2)]
        self.assertEqual([(j.text, j.id) for j in jobs], [("1", order.id), ("2", order.id)])
        self.assertNotEqual(jobs[0].publisher, jobs[1].publisher)
        job = client.consume(self.subject + ".r").pull(10)
        self.assertEqual((job.text, job.headers["a"]), ("order", "b"))
        with self.assertRaises(millrace.Error) as caught:
            order.ack()
        self.assertEqual(caught.exception.name, "ENOENT")

    def test_input_without_number_is_refused(self) -> None:
        client = self.client()
        self.push(client, "plain")
        consumer = client.consume(self.subject, manual=True)
        job = consumer.pull(10)
        with client.queue(self.subject + ".out") as out:
            with self.assertRaises(millrace.Error) as caught:
                consumer.settle_and_push(job, Output(out, "x"))
            self.assertIn("at_least_once", str(caught.exception))
            consumer.settle_and_push(job, Output(out, "x"), at_least_once=True)
        self.assertEqual(client.consume(self.subject + ".out").pull(10).text, "x")


class Promises(BusTest):
    def test_promised_messages_come_and_settle(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject, promise=Promise.EXACTLY_ONCE, pending_max=100000)
        with client.publisher(self.subject, Promise.EXACTLY_ONCE) as publisher:
            for number in range(2000):
                publisher.send(str(number), timeout=30)
            client.settle(30)
        self.assertEqual([messages.receive(10).text for _ in range(2000)],
                         [str(n) for n in range(2000)])

    def test_publisher_sends_headers(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        publisher = client.publisher(self.subject)
        publisher.send(b"x", {"a": "1"})
        self.assertEqual(messages.receive(10).headers.items(), [("a", "1")])
        self.assertTrue(publisher.try_send(b"y"))


if __name__ == "__main__":
    unittest.main()
