#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""retry: a job that fails: it comes back later each time, and ends as a dead letter with the reason.

    examples/retry.py [-n COUNT] example.mails 'to: anna' [ADDRESS]

Shows `max_deliver` and the back-off of a queue, nack() with an error, `attempts`, and the headers in which the
next attempt finds the last error, and a dead letter its reason. The job has COUNT attempts, 3 by default, and
fails in all. Then it is in QUEUE.dead.
"""
import argparse

import millrace


def fail(job: millrace.Delivery) -> None:
    attempt = job.attempts + 1
    print(f"attempt {attempt}, error before: {job.headers.get('Millrace-Error', '-')}", flush=True)
    # Without a delay of its own: the back-off of the queue has it.
    job.nack(error=f"no host in attempt {attempt}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=3)
    parser.add_argument("queue")
    parser.add_argument("payload")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    backs_off = millrace.QueueOptions(max_deliver=options.count, retry_min_ms=50, retry_max_ms=1000,
                                      retry_factor=200)
    with millrace.connect(options.address) as client:
        with client.queue(options.queue, options=backs_off) as queue:
            queue.push(options.payload)
            client.settle()
        with client.consume(options.queue, manual=True, options=backs_off) as jobs:
            for _ in range(options.count):
                fail(jobs.pull())
        with client.dead_letters(options.queue, manual=True) as letters:
            letter = letters.pull()
            reason, attempts, error = (letter.headers["Millrace-" + name]
                                       for name in ("Dead-Reason", "Dead-Count", "Error"))
            print(f"dead letter: {letter.text}, reason: {reason}, attempts: {attempts}, "
                  f"last error: {error}")
            letter.ack()


if __name__ == "__main__":
    main()
