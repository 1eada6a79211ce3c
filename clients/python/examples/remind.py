#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""remind: work for later: after a time, at a time of day, again and again; and how to cancel it.

    examples/remind.py [-n COUNT] example.reminders 'tea is ready' [ADDRESS]

Shows push() with `delay_ms`, `at_ms`, `every_ms` and `ticket`, and cancel(). Pushes a reminder for a moment
later, one for tomorrow, which it cancels, and one that repeats each half second. Prints those that come, and
cancels the repetition after COUNT of it, 2 by default.
"""
import argparse
import time

import millrace

# The program's own numbers, so that it can cancel after a restart too. Queue.ticket() makes random ones.
TOMORROW = 1
AGAIN = 2
DAY_S = 86400


def push_all(client: millrace.Client, queue: millrace.Queue, text: str) -> None:
    queue.push(text, delay_ms=200)
    queue.push("tomorrow", at_ms=int(time.time() + DAY_S) * 1000, ticket=TOMORROW)
    # A push with the same ticket takes the place of this one. For times of day: `cron`.
    queue.push("again", every_ms=500, ticket=AGAIN)
    client.settle()  # the queue accepts them now, and delivers them when they are due


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=2)
    parser.add_argument("queue")
    parser.add_argument("text")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    with millrace.connect(options.address) as client, client.queue(options.queue) as queue:
        push_all(client, queue, options.text)
        queue.cancel(TOMORROW)  # ESRCH: none waits, it is due already
        print("cancelled tomorrow", flush=True)
        with client.consume(options.queue, manual=True) as reminders:
            left = options.count
            while left > 0:
                reminder = reminders.pull()
                print(reminder.text, flush=True)
                reminder.ack()
                left -= reminder.text == "again"
        queue.cancel(AGAIN)
        print("cancelled again")


if __name__ == "__main__":
    main()
