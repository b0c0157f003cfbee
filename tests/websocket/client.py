"""Talks through the gate at the first argument, as each of the others says; one line for each."""

import asyncio
import hashlib
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = f"ws://{sys.argv[1]}/chat"


def open_one():
    return connect(URL, max_size=None, compression=None, ping_interval=None, open_timeout=60)


async def echoed(messages):
    async with open_one() as it:
        async def send():
            for message in messages:
                await it.send(message)
        sending = asyncio.create_task(send())
        for message in messages:
            assert await it.recv() == message
        await sending
    return it.close_code


async def many():
    return await echoed([str(number) for number in range(20_000)])


async def some():
    """As many bytes, so that every window is used up, for servers that take their time over each message."""
    return await echoed([str(number).zfill(200) for number in range(1_000)])


async def large():
    message = os.urandom(1 << 20) * 64
    async with open_one() as it:
        sending = asyncio.create_task(it.send(message))
        got = await it.recv()
        await sending
        assert hashlib.sha256(got).digest() == hashlib.sha256(message).digest()
        return len(got)


async def leave():
    async with open_one() as it:
        await it.send("hello")
        await it.recv()
        it.transport.abort()
    return "gone"


async def left():
    async with open_one() as it:
        await it.send("go away")
        try:
            return await it.recv()
        except ConnectionClosed as error:
            return f"closed, said goodbye: {error.rcvd is not None}"


async def stay():
    """Echoes a word for each line that comes in, and says so."""
    async with open_one() as it:
        loop = asyncio.get_running_loop()
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            try:
                await it.send(line)
                print("heard", await it.recv(), flush=True)
            except ConnectionClosed:
                return "cut"
    return it.close_code


for name in sys.argv[2:]:
    print(name, asyncio.run(globals()[name]()), flush=True)
