#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""reply: replies to requests with their payload in capitals.

    examples/reply.py [-n COUNT] greet [ADDRESS]

Shows a subscription with a callback, reply() and wait(). Prints "serving" when it is ready, and ends
after COUNT requests, without -n never.
"""
import argparse

import millrace


class Greeter:
    def __init__(self) -> None:
        self.answered = 0

    def __call__(self, message: millrace.Message) -> None:
        # The payload is readable until this returns; .text and bytes() copy it.
        message.reply(message.text.upper())
        self.answered += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=0)
    parser.add_argument("subject")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    greeter = Greeter()
    with millrace.connect(options.address) as client:
        client.subscribe(options.subject, greeter)
        print("serving", flush=True)
        while options.count == 0 or greeter.answered < options.count:
            client.wait()
    print(f"served {greeter.answered}")


if __name__ == "__main__":
    main()
