#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""request: sends a request and prints the reply.

    examples/request.py greet hello [ADDRESS]

Shows request() and its errors. The exit status is 5 if nobody replies to the subject, and 4 if the
reply did not come in time.
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
    with millrace.connect(options.address) as client:
        try:
            reply = client.request(options.subject, options.payload, timeout=2.0)
        except millrace.NoResponders as error:
            print(f"request: {error}", file=sys.stderr)
            return 5
        except millrace.Timeout as error:
            print(f"request: {error}", file=sys.stderr)
            return 4
        print(reply.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
