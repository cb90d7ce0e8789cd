"""Replies that go out in other ways than whole: broken off, or drop by drop."""

import asyncio
import contextlib
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_TRANSPORT = "ecw.transport"
# Closing with no time to linger makes the system send a reset instead of an orderly end.
_NO_LINGER = struct.pack("ii", 1, 0)


class ReachableProtocol(AutoHTTPProtocol):  # type: ignore[valid-type,misc]
    """uvicorn's protocol, which tells each request's scope the connection it came by."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app_state = {**self.app_state, _TRANSPORT: transport}
        super().connection_made(transport)


class BrokenOff(Response):
    """The head and the first bytes of a reply, then a reset; nothing at all with no bytes."""

    def __init__(self, reply: Response, sent_bytes: int) -> None:
        self.status_code, self.raw_headers = reply.status_code, reply.raw_headers
        self.body = reply.body
        self._sent_bytes = sent_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._sent_bytes:
            part = bytes(self.body)[: self._sent_bytes]
            await _send_head(self, send)
            await send({"type": "http.response.body", "body": part, "more_body": True})
        transport: asyncio.Transport = scope["state"][_TRANSPORT]
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
        await _disconnected(receive)


class Dripping(Response):
    """A reply whose body comes a few bytes at a time, for as long as the client has patience."""

    def __init__(self, reply: Response, size_bytes: int, pause_seconds: float) -> None:
        self.status_code, self.raw_headers = reply.status_code, reply.raw_headers
        self.body = reply.body
        self._size_bytes, self._pause_seconds = size_bytes, pause_seconds

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await _send_head(self, send)
        body = bytes(self.body)
        gone = asyncio.ensure_future(_disconnected(receive))
        for start in range(0, len(body), self._size_bytes):
            drop = body[start : start + self._size_bytes]
            await send({"type": "http.response.body", "body": drop, "more_body": True})
            await asyncio.wait({gone}, timeout=self._pause_seconds)
            if gone.done():
                return
        await send({"type": "http.response.body", "body": b""})
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _send_head(reply: Response, send: Send) -> None:
    headers = reply.raw_headers
    await send({"type": "http.response.start", "status": reply.status_code, "headers": headers})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
