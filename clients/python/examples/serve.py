#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""serve: a worker of a service, which answers with the payload in capitals.

    examples/serve.py [-n COUNT] capitals [ADDRESS]

Shows serve() with a coroutine as handler. Start several: each request goes to the least recently used
worker, and to another if that one dies. Prints "serving" when it is ready, and ends after COUNT
requests, without -n never.
"""
import argparse
import asyncio

from millrace import AsyncClient, Request


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=0)
    parser.add_argument("service")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    served = 0
    done = asyncio.Event()

    async def capitals(request: Request) -> str:
        nonlocal served
        served += 1
        if served == options.count:
            done.set()
        # A handler may also call request.respond() itself, with more=True for partial replies.
        return request.text.upper()

    async with AsyncClient(options.address) as client, client.serve(options.service, capitals):
        print("serving", flush=True)
        await done.wait()
        await client.drain()
    print(f"served {served}")


if __name__ == "__main__":
    asyncio.run(main())
