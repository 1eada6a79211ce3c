#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""push: pushes jobs into a queue, and waits until the queue has accepted them.

    examples/push.py [-n COUNT] example.jobs 'a job' [ADDRESS]

Shows queue(), push(), the outcome of each push, and settle().
"""
import argparse
from typing import Optional

import millrace


class Outcomes:
    def __init__(self) -> None:
        self.accepted = 0

    def __call__(self, number: int, error: Optional[millrace.Error]) -> None:
        if error is None:
            self.accepted += 1
        else:
            print(f"push {number}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=1)
    parser.add_argument("queue")
    parser.add_argument("payload")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    outcomes = Outcomes()
    with millrace.connect(options.address) as client:
        with client.queue(options.queue, on_outcome=outcomes) as queue:
            for _ in range(options.count):
                queue.push(options.payload)
            client.settle()
    print(f"accepted {outcomes.accepted}")


if __name__ == "__main__":
    main()
