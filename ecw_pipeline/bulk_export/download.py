"""One file from the server to the disk: streamed, kept as received, whole or absent."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.session import Session
from ecw_pipeline.fhir_client.transport import (
    network_errors,
    require_not_busy,
    require_safe_url,
)
from ecw_pipeline.files import finished_file, sha256_of

CHUNK_BYTES = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
PLAIN, PACKED = ".ndjson", ".ndjson.gz"


@dataclass(frozen=True)
class Downloaded:
    """A file that is whole on the disk; hash and size are of the bytes as received."""

    path: Path
    sha256: str
    size_bytes: int


def download(session: Session, url: str, stem: Path, *, with_token: bool) -> Downloaded:
    """Fetch ``url`` to ``<stem>.ndjson`` or, where the bytes are gzip, ``<stem>.ndjson.gz``.

    The token is sent only ``with_token``, and httpx drops it when another origin takes over;
    what a redirect may lead to is `HttpsOnly`'s to say.

    Raises:
        TemporaryError: the link expired or the connection broke; asking again may help.
        ProtocolError: the server refused the file, or its address is not https.
        MachineError: the disk is full.

    Source: Bulk Data Access, "File Request".
    """
    require_safe_url(url)
    headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
    auth = session.auth if with_token else httpx.Auth()
    with (
        network_errors(url),
        session.http.stream("GET", url, headers=headers, auth=auth, follow_redirects=True) as reply,
    ):
        _require_whole_body(reply)
        return _store(reply, stem)


def kept(stem: Path) -> Downloaded | None:
    """What an earlier fetch to ``stem`` left: it is whole, or it would not have its name."""
    for path in (stem.with_name(stem.name + ending) for ending in (PLAIN, PACKED)):
        if path.exists():
            return Downloaded(path, sha256_of(path), path.stat().st_size)
    return None


def _store(reply: httpx.Response, stem: Path) -> Downloaded:
    chunks = reply.iter_raw(CHUNK_BYTES)
    first = next(chunks, b"")
    path = stem.with_name(stem.name + (PACKED if first.startswith(GZIP_MAGIC) else PLAIN))
    digest = hashlib.sha256()
    size_bytes = 0
    with finished_file(path) as stream:
        for chunk in _chain(first, chunks):
            digest.update(chunk)
            size_bytes += len(chunk)
            stream.write(chunk)
    return Downloaded(path, digest.hexdigest(), size_bytes)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _require_whole_body(reply: httpx.Response) -> None:
    require_not_busy(reply)
    if reply.status_code in (404, 410):
        raise TemporaryError(
            "the link to an export file has expired",
            "run again: the manifest is read anew for fresh links",
        )
    if reply.status_code != httpx.codes.OK:
        raise ProtocolError(
            f"the server answered {reply.status_code} instead of an export file",
            "run again; if it stays, ask the provider's support",
        )
