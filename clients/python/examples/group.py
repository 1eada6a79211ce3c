#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""group: prints its share of the messages of a subject.

    examples/group.py [-n COUNT] jobs.new workers [ADDRESS]

Shows a queue group, and asyncio: of all members of the group, one gets each message. Prints
"subscribed" when it is ready. Ends after COUNT messages, 10 by default, or when none came for two
seconds after the first.
"""
import argparse
import asyncio
from typing import Optional

from millrace import AsyncClient, Timeout


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, dest="count", default=10)
    parser.add_argument("subject")
    parser.add_argument("group")
    parser.add_argument("address", nargs="?")
    options = parser.parse_args()
    patience: Optional[float] = None
    async with AsyncClient(options.address) as client:
        messages = client.subscribe(options.subject, group=options.group)
        print("subscribed", flush=True)
        try:
            for _ in range(options.count):
                message = await messages.receive(patience)
                print(message.text, flush=True)
                patience = 2.0
        except Timeout:
            pass


if __name__ == "__main__":
    asyncio.run(main())
