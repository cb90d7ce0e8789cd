"""A real HTTP server on loopback that answers byte for byte what a test says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Arrival:
    """A request as it reached the server; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class OddServer:
    """Replies by path; each but the last of a path is given once."""

    url: str
    replies: dict[str, list[bytes]] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)

    def answers(self, path: str, *replies: bytes) -> str:
        """Say what comes at a path; returns its URL."""
        self.replies[path] = list(replies)
        return self.url + path

    def authorizations(self, path: str) -> list[str | None]:
        """What each request to a path carried."""
        return [a.headers.get("authorization") for a in self.arrivals if a.path == path]


def raw(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole reply; ``content_length`` and other headers are as the test says."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("content-length", str(len(body)))
    return head(status, named) + body


def endless(status: int, body: bytes, **headers: str) -> bytes:
    """A reply that does not say how long it is: it ends when the connection does."""
    return head(status, {name.replace("_", "-"): v for name, v in headers.items()}) + body


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Odd\r\nConnection: close\r\n{lines}\r\n".encode("latin-1")


@contextmanager
def odd_server(host: str = "127.0.0.1") -> Iterator[OddServer]:
    """Serve for as long as the block lasts."""
    state = OddServer("")

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.arrivals.append(Arrival(self.command, path, headers, body))
            replies = state.replies.get(path) or [raw(404)]
            self.wfile.write(replies.pop(0) if len(replies) > 1 else replies[0])
            self.close_connection = True

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        state.url = f"http://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
