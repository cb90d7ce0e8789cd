"""Sending an export file: gzip as stored or plain as asked, whole or a range of it."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ecw_pipeline.sandbox.export_writer import WrittenFile
from ecw_pipeline.sandbox.outcomes import RefusalError as Refusal
from ecw_pipeline.sandbox.outcomes import outcome_response

NDJSON = "application/fhir+ndjson"
_CHUNK_BYTES = 1 << 16
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


def file_reply(request: Request, file: WrittenFile) -> tuple[Response, int]:
    """The reply, and how many bytes of body it will send."""
    if _accepts_gzip(request.headers.get("accept-encoding", "")):
        return _gzip_reply(request, file)
    headers = {"ETag": f'"{file.plain_sha256[:32]}"', "Content-Length": str(file.plain_bytes)}
    return _streaming(_plain_chunks(file.path), 200, headers), file.plain_bytes


def _gzip_reply(request: Request, file: WrittenFile) -> tuple[Response, int]:
    etag, size = f'"{file.gzip_sha256[:32]}-gz"', file.gzip_bytes
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Encoding": "gzip"}
    asked = request.headers.get("range")
    if asked is None or request.headers.get("if-range", etag) != etag:
        return _part(file.path, 0, size, 200, headers), size
    span = _span(asked, size)
    if span is None:
        refused = Refusal(416, "invalid", "no such range", {"Content-Range": f"bytes */{size}"})
        return outcome_response(refused), 0
    start, stop = span
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return _part(file.path, start, stop, 206, headers), stop - start


def _part(path: Path, start: int, stop: int, status: int, headers: dict[str, str]) -> Response:
    sized = {**headers, "Content-Length": str(stop - start)}
    return _streaming(_stored_chunks(path, start, stop), status, sized)


def _streaming(chunks: Iterator[bytes], status: int, headers: dict[str, str]) -> Response:
    vary = {**headers, "Vary": "Accept-Encoding", "Cache-Control": "no-store"}
    return StreamingResponse(chunks, status, vary, media_type=NDJSON)


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


def _accepts_gzip(header: str) -> bool:
    offers = dict(part.strip().replace(" ", "").partition(";")[::2] for part in header.split(","))
    quality = offers.get("gzip", offers.get("*"))
    return quality is not None and not re.fullmatch(r"q=0(\.0*)?", quality)


def _stored_chunks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < stop and (chunk := stream.read(min(_CHUNK_BYTES, stop - start))):
            start += len(chunk)
            yield chunk


def _plain_chunks(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as opened:
        stream = cast(BinaryIO, opened)
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
