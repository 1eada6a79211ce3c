#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""subscribe: prints messages, and the language of their publisher if a header tells it.

    examples/subscribe.py [-n COUNT] 'orders.>' [ADDRESS]

Shows a subscription as an iterator. Prints "subscribed" when it is ready, and ends after COUNT
messages, without -n never.
"""
import argparse

import millrace


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=0)
    parser.add_argument("pattern")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    with millrace.connect(options.address) as client, client.subscribe(options.pattern) as messages:
        print("subscribed", flush=True)
        for number, message in enumerate(messages, 1):
            language = message.headers.get("language")
            suffix = f" (from {language})" if language else ""
            print(f"{message.subject}: {message.text}{suffix}", flush=True)
            if number == options.count:
                break


if __name__ == "__main__":
    main()
