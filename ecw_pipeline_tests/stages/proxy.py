"""A real HTTP proxy between client and sandbox that spoils the replies a test names."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from ecw_pipeline_tests.odd_server import head, raw

# What the client gets instead of the server's reply; nothing at all breaks the connection.
Spoiler = Callable[[httpx.Response], bytes]
FOREVER = 1_000_000


@dataclass
class Spoil:
    """Spoil the replies to requests whose method and path hold ``part``, so many times."""

    part: str
    spoiler: Spoiler
    times: int


@dataclass
class Proxy:
    """Forwards everything, and remembers what came: ``GET /path?query``."""

    url: str
    arrivals: list[str] = field(default_factory=list)
    spoils: list[Spoil] = field(default_factory=list)

    def spoil(self, part: str, spoiler: Spoiler, times: int = FOREVER) -> None:
        self.spoils.append(Spoil(part, spoiler, times))

    def then(self, part: str, meanwhile: Callable[[], object]) -> None:
        """Let something happen before the next such reply goes out."""

        def after(reply: httpx.Response) -> bytes:
            meanwhile()
            return forwarded(reply)

        self.spoil(part, after, times=1)

    def arrived(self, part: str) -> int:
        """How many requests of a kind came."""
        return sum(part in arrival for arrival in self.arrivals)

    def spoiler_for(self, arrival: str) -> Spoiler | None:
        for spoil in self.spoils:
            if spoil.part in arrival and spoil.times > 0:
                spoil.times -= 1
                return spoil.spoiler
        return None


def status(code: int) -> Spoiler:
    """Another status instead."""
    return lambda _: raw(code)


def hung_up(_: httpx.Response) -> bytes:
    """The server heard the request; the connection breaks before its reply."""
    return b""


def cut(reply: httpx.Response) -> bytes:
    """Half of the body, then the connection breaks."""
    whole = forwarded(reply)
    return whole[: len(whole) - len(body_of(reply)) // 2]


def damaged(reply: httpx.Response) -> bytes:
    """A gzip file of the announced length whose last bytes are wrong."""
    packed = gzip.compress(body_of(reply) if _is_plain(reply) else gzip.decompress(body_of(reply)))
    return raw(200, packed[:-12] + b"\0" * 12)


def _is_plain(reply: httpx.Response) -> bool:
    return str(reply.headers.get("content-encoding")) != "gzip"


def body_of(reply: httpx.Response) -> bytes:
    """What the server sent, as it went over the wire."""
    body: bytes = reply.extensions["ecw_body"]
    return body


def forwarded(reply: httpx.Response) -> bytes:
    dropped = ("connection", "transfer-encoding", "content-length")
    headers = {name: value for name, value in reply.headers.items() if name not in dropped}
    start = head(reply.status_code, headers | {"content-length": str(len(body_of(reply)))})
    return start + body_of(reply)


@contextmanager
def proxy_to(target: str) -> Iterator[Proxy]:
    """Forward to ``target`` for as long as the block lasts."""
    state = Proxy("")

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            arrival = f"{self.command} {self.path}"
            state.arrivals.append(arrival)
            spoiler = state.spoiler_for(arrival)
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = dict(self.headers.items()) | {"Connection": "close"}
            with httpx.stream(
                self.command, target + self.path, headers=headers, content=body, timeout=30
            ) as reply:
                reply.extensions["ecw_body"] = b"".join(reply.iter_raw())
            self.wfile.write((spoiler or forwarded)(reply))
            self.close_connection = True

        do_GET = do_POST = do_DELETE = forward  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
