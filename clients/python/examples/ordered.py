#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ordered: work in the order of its key: the steps of one order are done one after the other, those of other
orders meanwhile.

    examples/ordered.py [-n COUNT] example.ordered [ADDRESS]

Shows Policy.KEY_SHARED, push() with `key`, and pull_many() with a longest wait. Pushes the steps of COUNT
orders, 2 by default, and takes them in batches: however many messages wait, a batch has at most one of each
order. Start several: each order is at one of them.
"""
import argparse

import millrace

STEPS = ("paid", "packed", "shipped")
BATCH = 16
WAIT_S = 0.2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=2)
    parser.add_argument("queue")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    by_key = millrace.QueueOptions(policy=millrace.Policy.KEY_SHARED)
    with millrace.connect(options.address) as client:
        with client.queue(options.queue, options=by_key) as queue:
            for step in STEPS:
                for order in range(1, options.count + 1):
                    queue.push(step, key=f"order-{order}")
            client.settle()
        with client.consume(options.queue, manual=True, prefetch=BATCH, options=by_key) as jobs:
            left = len(STEPS) * options.count
            while left > 0:
                for job in jobs.pull_many(BATCH, wait=WAIT_S):
                    print(job.headers["Millrace-Key"], job.text, flush=True)
                    job.ack()  # the next step of this order is delivered now
                    left -= 1


if __name__ == "__main__":
    main()
