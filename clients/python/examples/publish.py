#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""publish: publishes one message with a header.

    examples/publish.py orders.eu.created '{"id":1}' [ADDRESS]

Shows connect(), publish() and errors. Without ADDRESS the bus is the one of MILLRACE_SERVER.
"""
import argparse
import sys

import millrace


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("subject")
    parser.add_argument("payload")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    try:
        # The end of `with` waits until the bus has taken the message.
        with millrace.connect(options.address) as client:
            client.publish(options.subject, options.payload, headers={"language": "Python"})
    except millrace.Error as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    print(f"published to {options.subject}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
