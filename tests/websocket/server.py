"""A WebSocket server that echoes. Says its port, then how every connection ended."""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(connection):
    try:
        async for message in connection:
            if message == "go away":
                connection.transport.abort()
                return
            await connection.send(message)
        print("ended", connection.close_code, flush=True)
    except ConnectionClosed:
        print("cut", flush=True)


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=None, compression=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
