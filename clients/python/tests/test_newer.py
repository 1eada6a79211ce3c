# SPDX-License-Identifier: Apache-2.0
"""Other threads, timers, endings, events, administration, a bus that is away."""
import threading
import time
from typing import List, Tuple

import millrace
from millrace import Admin, Event, Message, Severity, WhenAway

from .bus import PATIENCE_S, Bus, BusTest, shared


class OtherThreads(BusTest):
    def test_wake_ends_a_wait_without_limit(self) -> None:
        client = self.client()
        waking = threading.Thread(target=client.wake)
        waking.start()
        self.assertEqual(client.wait(), 0)
        waking.join()

    def test_posted_functions_run_in_order_in_the_thread_of_the_client(self) -> None:
        client = self.client()
        came: List[Tuple[int, int]] = []

        def post() -> None:
            for number in range(500):
                client.post(lambda n: came.append((n, threading.get_ident())), number)

        posting = threading.Thread(target=post)
        posting.start()
        self.until(client, lambda: len(came) == 500)
        posting.join()
        self.assertEqual(came, [(n, threading.get_ident()) for n in range(500)])

    def test_posts_are_bounded_and_their_exceptions_are_raised(self) -> None:
        client = self.client()
        client.post(lambda: 1 / 0)
        for _ in range(1023):
            client.post(int)
        with self.assertRaises(millrace.Error) as caught:
            client.post(int)
        self.assertEqual(caught.exception.name, "EAGAIN")
        with self.assertRaises(ZeroDivisionError):
            client.process()
        client.close()
        with self.assertRaises(millrace.NotConnected):
            client.post(int)
        client.wake()  # a closed client has nothing to wake


class Timers(BusTest):
    def test_timer_runs_repeats_and_stops(self) -> None:
        client = self.client()
        ticks: List[float] = []
        with client.timer(lambda: ticks.append(time.monotonic())) as timer:
            begun = time.monotonic()
            timer.start(0.05, 0.001)
            self.until(client, lambda: len(ticks) >= 3)
            self.assertGreaterEqual(ticks[0] - begun, 0.05)
            timer.stop()
            count = len(ticks)
            client.wait(0.02)
            self.assertEqual(len(ticks), count)
        with self.assertRaises(millrace.Error):
            timer.start(1)


class Endings(BusTest):
    def test_iterator_ends_after_a_number_of_messages(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        messages.unsubscribe_after(3)
        for number in range(10):
            client.publish(self.subject, str(number))
        self.assertEqual([m.text for m in messages], ["0", "1", "2"])
        with self.assertRaises(millrace.Error) as caught:
            messages.receive(0)
        self.assertEqual(caught.exception.name, "ENOENT")

    def test_drained_subscription_hands_out_what_has_come(self) -> None:
        client = self.client()
        ended: List[bool] = []
        messages = client.subscribe(self.subject)
        messages.on_end(lambda: ended.append(messages.ended))
        for number in range(100):
            client.publish(self.subject, str(number))
        client.drain()
        messages.drain()
        self.assertEqual(len(list(messages)), 100)
        self.assertEqual(ended, [True])

    def test_finish_drains_subscriptions_and_settles(self) -> None:
        client = self.client()
        messages = client.subscribe(self.subject)
        with client.queue(self.subject) as queue:
            queue.push("job")
            client.publish(self.subject, "last")
            client.finish(PATIENCE_S)
            self.assertEqual(queue.unaccepted, 0)
        self.assertEqual([m.text for m in messages], ["last"])
        self.assertTrue(client.connected)


class Requests(BusTest):
    def test_request_gathers_the_replies_of_several_responders(self) -> None:
        client = self.client()
        client.subscribe(self.subject, lambda m: m.reply("a" + m.headers["n"]))
        client.subscribe(self.subject, lambda m: m.reply("b" + m.headers["n"]))
        replies = client.request_many(self.subject, headers={"n": "7"}, timeout=PATIENCE_S,
                                      replies_max=2)
        self.assertEqual(sorted(r.text for r in replies), ["a7", "b7"])
        self.assertEqual(len(client.request_many(self.subject, headers={"n": "8"}, stall=0.2)), 2)
        with self.assertRaises(millrace.NoResponders):
            client.request_many(self.subject + ".none")


class Events(BusTest):
    def test_events_of_the_library_reach_the_function(self) -> None:
        client = self.client()
        events: List[Tuple[Severity, Event]] = []
        asked: List[Message] = []
        client.on_log(lambda severity, event, text: events.append((severity, event)))
        client.subscribe(self.subject, lambda m: asked.append(m.copy()))
        with self.assertRaises(millrace.Timeout):
            client.request(self.subject, timeout=0.05)
        asked[0].reply("late")
        self.until(client, lambda: bool(events))
        self.assertEqual(events[0], (Severity.WARNING, Event.UNMATCHED))
        client.on_log(None)
        asked[0].reply("later")
        client.drain()
        client.wait(0.05)
        self.assertEqual(len(events), 1)
        self.assertIs(Event(1000), Event.OTHER)


class Administration(BusTest):
    def test_lists_purge_and_dead_letters(self) -> None:
        client = self.client(name="python-admin")
        queue = client.queue(self.subject)
        queue.push("bad", {"trace": "7"})
        with client.consume(self.subject, manual=True) as jobs:
            jobs.pull(PATIENCE_S).nack(requeue=False)
            client.finish(PATIENCE_S)
        with Admin(shared().address) as admin:
            self.until(client, lambda: bool(admin.dead_letters(self.subject)))
            letter = admin.dead_letters(self.subject)[0]
            self.assertEqual((bytes(letter.payload), letter.headers["trace"]), (b"bad", "7"))
            self.assertEqual(admin.redrive(self.subject), 1)

            def ready() -> int:
                return [row.ready for row in admin.queues() if row.name == self.subject][0]

            self.until(client, lambda: ready() == 1)
            self.assertEqual(admin.purge(self.subject), 1)
            self.assertEqual(ready(), 0)
            admin.edit(self.subject, messages_max=1, when_full=millrace.WhenFull.REFUSE)
            outcomes: List[object] = []
            with client.queue(self.subject, on_outcome=lambda n, e: outcomes.append(e)) as limited:
                limited.push("one")
                limited.push("two")
                self.until(client, lambda: len(outcomes) == 2)
            self.assertEqual([e is None for e in outcomes], [True, False])
            with self.assertRaises(TypeError):
                admin.edit(self.subject, weight=1)
            admin.edit(self.subject, retry_min_ms=100, retry_factor=150, dead_letter="none",
                       aging_s=3)
            with self.assertRaises(millrace.Error) as refused:
                admin.edit(self.subject, retry_factor=1)
            self.assertIn("retry_factor", str(refused.exception))
            with self.assertRaises(millrace.Error) as refused:
                admin.edit(self.subject, dead_letter=self.subject)
            self.assertIn("come back", str(refused.exception))
            self.assertIn("python-admin", [row.name for row in admin.clients()])
            messages = client.subscribe(self.subject + ".>", group="g")
            self.assertIn((messages.pattern, "g"), [(r.pattern, r.group) for r in admin.subjects()])
            self.assertGreaterEqual(len(admin.workers()), 1)
            self.assertGreater(len(admin.counters()), 10)
            self.assertTrue(all(row.service for row in admin.services()))
            with self.assertRaises(millrace.Error) as caught:
                admin.purge("nowhere")
            self.assertEqual(caught.exception.name, "ENOENT")
        with self.assertRaises(millrace.Error):
            Admin("shm:/nowhere/attach.sock")


class Away(BusTest):
    def test_next_of_several_addresses_is_used(self) -> None:
        for addresses in (f"shm:/nowhere/attach.sock,{shared().address}",
                          ["shm:/nowhere/attach.sock", shared().address]):
            with millrace.connect(addresses) as client:
                self.assertTrue(client.connected)

    def away(self, bus: Bus, **options: object) -> millrace.Client:
        """A client whose bus has gone."""
        client = millrace.connect(bus.address, **options)
        self.addCleanup(client.close)
        bus.stop()
        self.until(client, lambda: not client.connected)
        return client

    def test_publishes_to_a_bus_that_is_away_fail_at_once(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        client = self.away(bus, when_away=WhenAway.FAIL)
        with self.assertRaises(millrace.NotConnected):
            client.publish("a")
        self.assertEqual(client.stats().kept, 0)

    def test_oldest_publishes_are_dropped_and_counted(self) -> None:
        bus = Bus()
        self.addCleanup(bus.remove)
        client = self.away(bus, when_away=WhenAway.DROP_OLDEST, away_bytes_max=10000)
        for number in range(100):
            client.publish("a", bytes(1000))
        stats = client.stats()
        self.assertLess(stats.kept, 10)
        self.assertEqual(stats.kept + stats.lost, 100)
        bus.start()
        self.until(client, lambda: client.connected)
        self.assertEqual(client.stats().kept, 0)
