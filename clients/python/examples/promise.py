#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""promise: publishes numbers exactly once, faster than the subscriber reads, and loses none.

    examples/promise.py [-n COUNT] [SUBJECT] [ADDRESS]

Shows promises at both ends, settle(), and asyncio. While `pending_max` messages are unread the client
stops reading, the bus counts it as full, and the publisher waits.
"""
import argparse
import asyncio

from millrace import AsyncClient, AsyncSubscription, Promise


async def read(messages: AsyncSubscription, count: int) -> int:
    in_order = 0
    for number in range(count):
        message = await messages.receive(timeout=30.0)
        in_order += message.text == str(number)
    return in_order


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=10000)
    parser.add_argument("subject", nargs="?", default="example.promise")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    async with AsyncClient(options.address) as receiver, AsyncClient(options.address) as sender:
        messages = receiver.subscribe(options.subject, promise=Promise.EXACTLY_ONCE, pending_max=100)
        publisher = sender.publisher(options.subject, Promise.EXACTLY_ONCE)
        reading = asyncio.create_task(read(messages, options.count))
        for number in range(options.count):
            await publisher.send(str(number))
        await sender.settle(30.0)
        print(f"{await reading} of {options.count} came, in order")


if __name__ == "__main__":
    asyncio.run(main())
