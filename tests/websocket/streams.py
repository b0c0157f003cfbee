"""A server that echoes WebSockets on the streams of HTTP/2 alone. Says its port, then each request that it accepts."""

import asyncio
import socket

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def echo(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    print(scope["type"], scope["http_version"], scope["path"], flush=True)
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
config = Config()
config.bind = [f"fd://{listener.detach()}"]
config.websocket_max_message_size = 1 << 30
config.loglevel = "WARNING"
asyncio.run(serve(echo, config))
