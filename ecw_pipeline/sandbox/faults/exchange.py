"""One request and its reply, as the faults see and change them."""

import asyncio
import gzip
import hashlib
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope

from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.file_replies import Content, accepts_gzip, content_reply
from ecw_pipeline.sandbox.gate import endpoint_kind
from ecw_pipeline.sandbox.state import Sandbox

Proceed = Callable[[], Awaitable[Response]]
# What faults remember between requests, by a name of their own.
Notes = dict[Any, Any]
_MARK = "fault"


@dataclass
class Exchange:
    """A request as it arrived; a fault may change it before the server sees it."""

    sandbox: Sandbox
    notes: Notes
    scope: Scope
    body: bytes
    headers: MutableHeaders = field(init=False)

    def __post_init__(self) -> None:
        self.headers = MutableHeaders(scope=self.scope)

    @classmethod
    async def arrived(
        cls, sandbox: Sandbox, notes: Notes, scope: Scope, receive: Receive
    ) -> "Exchange":
        """Take in a whole request."""
        body = await Request(scope, receive).body()
        return cls(sandbox, notes, {**scope, "headers": list(scope["headers"])}, body)

    @property
    def kind(self) -> str:
        """token, kickoff, status, delete, file, attachment, or fhir for all else."""
        return endpoint_kind(self.scope["method"], self.path)

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def url(self) -> str:
        """The address the client used."""
        return str(Request(self.scope).url)

    @property
    def server_url(self) -> str:
        return str(Request(self.scope).base_url).rstrip("/")

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)

    def parameter(self, name: str) -> str:
        """A parameter of the URL; empty where there is none."""
        return dict(self.query).get(name, "")

    @property
    def form(self) -> dict[str, str]:
        """The body of a token request."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace")))

    def set_form(self, form: dict[str, str]) -> None:
        """Let a token request ask for something else."""
        self.body = urlencode(form).encode()

    @property
    def resource_types(self) -> frozenset[str]:
        """The types the request itself names; empty where it names none."""
        last = self.path.rpartition("/")[2]
        match self.kind:
            case "file":
                return frozenset({last.partition(".")[0]})
            case "kickoff":
                return frozenset(dict(self.query).get("_type", "").split(",")) - {""}
            case "fhir" | "attachment":
                return frozenset(self.path.removeprefix(BASE_PATH + "/").split("/")[:1])
        return frozenset()

    def is_marked(self, fault: str) -> bool:
        """Whether the request came by a URL that this fault handed out."""
        return (_MARK, fault) in self.query

    async def ask(self, app: ASGIApp) -> Response:
        """What the server behind the faults answers, as a whole."""
        parts: list[Message] = []
        request: list[Message] = [{"type": "http.request", "body": self.body, "more_body": False}]

        async def receive() -> Message:
            if not request:
                await asyncio.Event().wait()  # whoever listens for a disconnect waits in vain
            return request.pop()

        async def send(message: Message) -> None:
            parts.append(message)

        await app(self.scope, receive, send)
        reply = Response(b"".join(part.get("body", b"") for part in parts), parts[0]["status"])
        reply.raw_headers = list(parts[0]["headers"])
        return reply


def marked(url: str, fault: str, **parameters: object) -> str:
    """The URL with a query that brings its requests to the fault that handed it out."""
    address, joint, query = url.partition("?")
    own = urlencode({_MARK: fault, **parameters})
    return f"{address}?{own}" + ("&" + query if joint else "")


def set_body(reply: Response, body: bytes) -> None:
    """Let a reply have another body, and say its length where it said one."""
    reply.body = body
    if "content-length" in reply.headers:
        reply.headers["content-length"] = str(len(body))


async def rewritten(
    exchange: Exchange, proceed: Proceed, rewrite: Callable[[bytes], bytes]
) -> Response:
    """A file with other content, whole or a range, packed or plain, as the client asked."""
    asked = Headers(raw=list(exchange.headers.raw))
    exchange.headers["accept-encoding"] = "identity"
    del exchange.headers["range"]
    reply = await proceed()
    if reply.status_code != 200:
        return reply
    content = await asyncio.to_thread(_content, rewrite, bytes(reply.body), asked)
    streaming, _ = content_reply(asked, content)
    return await exchange.ask(streaming)


def _content(rewrite: Callable[[bytes], bytes], plain: bytes, asked: Headers) -> Content:
    body = rewrite(plain)
    is_gzip = accepts_gzip(asked)
    if is_gzip:
        body = gzip.compress(body, compresslevel=1, mtime=0)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Content(lambda: io.BytesIO(body), len(body), etag, is_gzip)
