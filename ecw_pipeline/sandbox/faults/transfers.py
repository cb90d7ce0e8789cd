"""Faults of the way a file takes: cuts, resets, ranges, redirects, patience."""

import zlib
from collections.abc import Iterator
from functools import lru_cache

from starlette.responses import RedirectResponse, Response

from ecw_pipeline.sandbox.faults.deliveries import BrokenOff, Dripping
from ecw_pipeline.sandbox.faults.exchange import Exchange, Proceed, marked, set_body
from ecw_pipeline.sandbox.faults.fault import Json, on_manifest, on_reply, on_request
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome_response

_SENT = (200, 206)
_BODIES = ("file", "attachment")


# Gateways that lose their upstream and close the chunked body in good order.
@on_reply(*_BODIES, statuses=_SENT)
def cut_without_length(reply: Response, *, kept: float = 0.5) -> None:
    """Sends a part of the body, without a Content-Length to measure it by."""
    del reply.headers["content-length"]
    set_body(reply, _part(reply, kept))


# Servers whose disk was full while the file was written.
@on_reply(*_BODIES, statuses=_SENT)
def cut_body(reply: Response, *, kept: float = 0.5) -> None:
    """Sends a part of the body as if it were all: gzip without its end, or half a line."""
    set_body(reply, _part(reply, kept))


# Any network.
@on_reply(*_BODIES, statuses=_SENT)
def reset_mid_file(reply: Response, *, kept: float = 0.5) -> Response:
    """Resets the connection after a part of the body."""
    return BrokenOff(reply, max(1, len(_part(reply, kept))))


# Servers that stream from a database or pack on the fly.
@on_reply(*_BODIES, statuses=_SENT)
def no_file_headers(reply: Response) -> None:
    """Sends files without Content-Length, ETag and Accept-Ranges."""
    for name in ("content-length", "etag", "accept-ranges"):
        del reply.headers[name]


# The same servers.
@on_request("file")
def range_ignored(exchange: Exchange) -> None:
    """Answers a Range request with 200 and everything."""
    del exchange.headers["range"]


# Overloaded servers, and attackers.
@on_reply(*_BODIES, statuses=_SENT)
def slow_body(reply: Response, *, size_bytes: int = 1, pause_seconds: float = 1.0) -> Response:
    """Sends the body a few bytes at a time, each soon enough for a read timeout."""
    return Dripping(reply, size_bytes, pause_seconds)


# An attacker, or a broken packer.
@on_reply(*_BODIES, statuses=(200,))
def gzip_bomb(reply: Response, *, megabytes: int = 256) -> None:
    """Sends a small gzip body that becomes one line of so many megabytes."""
    set_body(reply, _bomb(megabytes))
    reply.headers["content-encoding"] = "gzip"
    del reply.headers["etag"]


@lru_cache(maxsize=4)
def _bomb(megabytes: int) -> bytes:
    def parts() -> Iterator[bytes]:
        packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        yield packer.compress(b'{"resourceType":"Patient","id":"bomb","language":"')
        zeros = b"0" * (1 << 20)
        for _ in range(megabytes):
            yield packer.compress(zeros)
        yield packer.compress(b'"}\n') + packer.flush()

    return b"".join(parts())


async def _elsewhere(exchange: Exchange, proceed: Proceed) -> Response:
    asks_for_token = exchange.parameter("asks") == "True"
    brings_token = "authorization" in exchange.headers
    if brings_token:
        exchange.sandbox.statistics.fault("redirected_files: token received")
    if brings_token != asks_for_token:
        headers = {"WWW-Authenticate": "Bearer"} if asks_for_token else {}
        status = 401 if asks_for_token else 400
        return outcome_response(RefusalError(status, "login", "not like this", headers))
    return await _signed_in(exchange, proceed)


# Servers that keep files in a bucket; one that asks for the token is after the token.
@on_request(*_BODIES, serve=_elsewhere)
def redirected_files(exchange: Exchange, *, asks_for_token: bool = True) -> Response:
    """Redirects files to another origin (localhost), which asks for the token, or serves
    who comes without and refuses who brings it."""
    here = exchange.url.replace("//127.0.0.1:", "//localhost:", 1)
    there = marked(here, "redirected_files", signature=_signature(exchange), asks=asks_for_token)
    return RedirectResponse(there, 302)


async def _if_signed(exchange: Exchange, proceed: Proceed) -> Response:
    if "authorization" in exchange.headers:
        text = "only one way of authorization is allowed"
        return outcome_response(RefusalError(400, "invalid", text))
    return await _signed_in(exchange, proceed)


# Cloud storage refuses a request that brings a signature and a token.
@on_manifest(serve=_if_signed)
def signed_links(exchange: Exchange, manifest: Json, files: list[Json]) -> None:
    """Says requiresAccessToken false and gives signed links, which refuse a token."""
    manifest["requiresAccessToken"] = False
    signature = _signature(exchange)
    for item in (*files, *manifest.get("deleted", [])):
        item["url"] = marked(item["url"], "signed_links", signature=signature)


def _signature(exchange: Exchange) -> int:
    """A number that stands for the token of this request."""
    tokens: list[str] = exchange.notes.setdefault("signatures", [])
    tokens.append(exchange.headers.get("authorization", ""))
    return len(tokens) - 1


async def _signed_in(exchange: Exchange, proceed: Proceed) -> Response:
    signature = int(exchange.parameter("signature"))
    exchange.headers["authorization"] = exchange.notes["signatures"][signature]
    return await proceed()


def _part(reply: Response, kept: float) -> bytes:
    return bytes(reply.body)[: int(len(reply.body) * kept)]


FAULTS = (
    redirected_files,
    reset_mid_file,
    slow_body,
    cut_without_length,
    cut_body,
    no_file_headers,
    range_ignored,
    gzip_bomb,
    signed_links,
)
