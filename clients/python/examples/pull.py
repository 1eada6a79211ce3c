#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pull: pulls jobs from a queue and acknowledges each when it is done.

    examples/pull.py [-n COUNT] [--dead] example.jobs [ADDRESS]

Shows consume(), ack(), nack() and dead_letters(). Start several: they share the jobs. A job with the
payload "bad" is rejected, and goes to the dead letters at once; --dead pulls those. Prints "pulling"
when it is ready, and ends after COUNT deliveries, 1 by default.
"""
import argparse

import millrace


def work(job: millrace.Delivery, dead: bool) -> None:
    if job.text == "bad" and not dead:
        job.nack(requeue=False)
        return
    print(f"{job.text}{' (again)' if job.redelivered and not dead else ''}", flush=True)
    # If the program dies before this, another consumer gets the job.
    job.ack()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=1)
    parser.add_argument("--dead", action="store_true")
    parser.add_argument("queue")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    with millrace.connect(options.address) as client:
        if options.dead:
            consumer = client.dead_letters(options.queue, prefetch=1, manual=True)
        else:
            consumer = client.consume(options.queue, prefetch=1, manual=True)
        with consumer:
            print("pulling", flush=True)
            for _ in range(options.count):
                work(consumer.pull(), options.dead)


if __name__ == "__main__":
    main()
