"""Sending an export file: gzip as stored or plain as asked, whole or a range of it."""

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from ecw_pipeline.sandbox.export_writer import WrittenFile
from ecw_pipeline.sandbox.outcomes import RefusalError as Refusal
from ecw_pipeline.sandbox.outcomes import outcome_response

NDJSON = "application/fhir+ndjson"
_CHUNK_BYTES = 1 << 16
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


@dataclass(frozen=True)
class Content:
    """What a file reply sends: the bytes on the wire, their number and their name."""

    open: Callable[[], BinaryIO]
    size_bytes: int
    etag: str
    is_gzip: bool


def stored_content(file: WrittenFile, asked: Headers) -> Content:
    """A written file in the encoding the client asked for."""
    if accepts_gzip(asked):
        etag = f'"{file.gzip_sha256[:32]}-gz"'
        return Content(lambda: file.path.open("rb"), file.gzip_bytes, etag, is_gzip=True)
    etag = f'"{file.plain_sha256[:32]}"'
    return Content(lambda: _unpacked(file.path), file.plain_bytes, etag, is_gzip=False)


def content_reply(asked: Headers, content: Content) -> tuple[Response, int]:
    """The reply, and how many bytes of body it will send. Source: RFC 9110, 14 "Range Requests"."""
    size = content.size_bytes
    headers = {"ETag": content.etag, "Accept-Ranges": "bytes"}
    if content.is_gzip:
        headers["Content-Encoding"] = "gzip"
    wanted = asked.get("range")
    if wanted is None or asked.get("if-range", content.etag) != content.etag:
        return _part(content, 0, size, 200, headers), size
    span = _span(wanted, size)
    if span is None:
        refused = Refusal(416, "invalid", "no such range", {"Content-Range": f"bytes */{size}"})
        return outcome_response(refused), 0
    start, stop = span
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return _part(content, start, stop, 206, headers), stop - start


def accepts_gzip(asked: Headers) -> bool:
    """Whether a request's Accept-Encoding allows gzip."""
    offers = dict(
        part.strip().replace(" ", "").partition(";")[::2]
        for part in asked.get("accept-encoding", "").split(",")
    )
    quality = offers.get("gzip", offers.get("*"))
    return quality is not None and not re.fullmatch(r"q=0(\.0*)?", quality)


def _part(
    content: Content, start: int, stop: int, status: int, headers: dict[str, str]
) -> Response:
    sized = {
        **headers,
        "Content-Length": str(stop - start),
        "Vary": "Accept-Encoding",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_chunks(content, start, stop), status, sized, media_type=NDJSON)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None when there is no such range."""
    match = _RANGE.match(header.replace(" ", ""))
    if match is None:
        return (0, size)
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last or 0)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else None


def _unpacked(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb"))


def _chunks(content: Content, start: int, stop: int) -> Iterator[bytes]:
    with content.open() as stream:
        stream.seek(start)
        while start < stop and (chunk := stream.read(min(_CHUNK_BYTES, stop - start))):
            start += len(chunk)
            yield chunk
