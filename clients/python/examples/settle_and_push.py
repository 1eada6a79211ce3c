#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""settle_and_push: a stage of a pipeline: each order makes a bill and a parcel.

    examples/settle_and_push.py [-n COUNT] example.orders example.bills example.parcels [ADDRESS]

Shows Consumer.settle_and_push(): both outputs are accepted, and then the order is acknowledged. Kill it
at any time and start it again: each order has one bill and one parcel, if it was pushed exactly once
(`millrace push` does). Prints "pulling" when it is ready, and ends after COUNT orders, 1 by default.
"""
import argparse

import millrace


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=1)
    parser.add_argument("orders")
    parser.add_argument("bills")
    parser.add_argument("parcels")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    with millrace.connect(options.address) as client:
        bills, parcels = client.queue(options.bills), client.queue(options.parcels)
        consumer = client.consume(options.orders, manual=True)
        print("pulling", flush=True)
        for _ in range(options.count):
            order = consumer.pull()
            # If the program dies before this returns, the order comes again, and nothing is doubled.
            consumer.settle_and_push(order, millrace.Output(bills, f"to pay: {order.text}"),
                                     millrace.Output(parcels, order.payload))


if __name__ == "__main__":
    main()
