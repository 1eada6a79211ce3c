#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""call: calls a service and prints the reply.

    examples/call.py capitals hello [ADDRESS]

Shows call() and its errors. The exit status is 5 if no worker serves it, and 4 if none replied in time.
"""
import argparse
import sys

import millrace


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("payload")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    with millrace.connect(options.address) as client:
        try:
            reply = client.call(options.service, options.payload, timeout=2.0)
        except millrace.NoResponders as error:
            print(f"call: {error}", file=sys.stderr)
            return 5
        except millrace.Timeout as error:
            print(f"call: {error}", file=sys.stderr)
            return 4
        print(reply.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
