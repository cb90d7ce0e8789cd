"""The address of this machine that a browser comes back to when somebody has signed in.

Source: RFC 8252, 7.3, "Loopback Interface Redirection".
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ecw_pipeline.errors import ConfigurationError, EcwError, MachineError, TemporaryError
from ecw_pipeline.serving import is_loopback, listening

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ecw login</title>
<p>You can close this window: the terminal tells how the sign-in went.</p></html>"""
# The address holds a code: it goes into no cache, and to nobody as a referrer.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class Redirects:
    """What browsers bring to the redirect URI."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[Mapping[str, str]] = SimpleQueue()

    async def receive(self, request: Request) -> Response:
        """Take what a browser brings."""
        self._arrived.put(dict(request.query_params))
        return HTMLResponse(_PAGE, headers=_HEADERS)

    def next(self, wait_seconds: float) -> Mapping[str, str]:
        """The parameters of the next redirect.

        Raises:
            TemporaryError: nobody comes in this time.
        """
        try:
            return self._arrived.get(timeout=wait_seconds)
        except Empty:
            raise TemporaryError(
                f"nobody signed in within {wait_seconds:g} s",
                "run again: ecw login; where the page told of an error, compare"
                " ECLINICALWORKS_CLIENT_ID and ECLINICALWORKS_REDIRECT_URI with what is registered",
            ) from None


@contextmanager
def redirects_to(uri: str) -> Iterator[Redirects]:
    """Listen at the redirect URI for as long as the block lasts.

    Raises:
        ConfigurationError: it is no address of this machine.
        MachineError: it cannot be listened at, as where its port is in use.
    """
    host, port, path = _place(uri)
    redirects = Redirects()
    app = Starlette(routes=[Route(path, redirects.receive)])
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
    )
    with _listener(host, port) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield redirects
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    with ExitStack() as opened:
        try:
            listener, _ = opened.enter_context(listening(host, port))
        except EcwError as error:
            raise MachineError(
                f"nothing can listen at ECLINICALWORKS_REDIRECT_URI: {error.message}",
                "stop what uses the port, or register another address and set it",
            ) from error
        yield listener


def _place(uri: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not port or parts.scheme != "http" or not is_loopback(host):
        raise ConfigurationError(
            f"ECLINICALWORKS_REDIRECT_URI is {uri!r}, where no browser finds this command",
            "register an address of this machine with the provider, such as"
            " http://127.0.0.1:8400/callback, and set it",
        )
    return host, port, parts.path or "/"
