"""One file from the server to the disk: streamed, kept as received, whole or absent.

A connection that breaks leaves a `.part`, which is resumed where the server can; see `partial.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import httpx

from ecw_pipeline.bulk_export.limits import SLOWEST_BYTES_PER_MINUTE, Limits
from ecw_pipeline.bulk_export.partial import PACKED, PLAIN, Partial
from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import EcwError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.session import Session
from ecw_pipeline.fhir_client.transport import (
    FILES_LANE,
    network_errors,
    require_not_busy,
    require_safe_url,
)
from ecw_pipeline.files import machine_errors, sha256_of

PATIENCE = timedelta(minutes=1)
_MEASURES = frozenset({"content-length", "content-range", "transfer-encoding"})
# How object storage answers a signed link that has expired: S3 and Azure by 403, Google's by 400.
_REFUSED_LINK = (httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN)


@dataclass(frozen=True)
class Downloaded:
    """A file that is whole on the disk; hash and size are of the bytes as received.

    Of one that is not ``is_measured`` nothing told the end but that the connection was closed.
    """

    path: Path
    sha256: str
    size_bytes: int
    is_measured: bool = True


class ExpiredLinkError(TemporaryError):
    """The address of a file is no longer good; the manifest, read anew, may have a fresh one."""


class RefusedLinkError(ProtocolError):
    """The address of a file is refused; of a signed one, storage so says that it has expired."""


def download(
    session: Session, url: str, stem: Path, limits: Limits, *, with_token: bool
) -> Downloaded:
    """Fetch ``url`` to ``<stem>.ndjson`` or, where the bytes are gzip, ``<stem>.ndjson.gz``.

    The token is sent only ``with_token``, and to another host than the server's own only when that
    asks for it; httpx drops it when another origin takes over. Where an address or a redirect may
    lead is the session's to say.

    Raises:
        ExpiredLinkError: the link is gone.
        RefusedLinkError: the link is refused: it may have expired.
        TemporaryError: the connection broke or crawled, the server failed, or the file came
            damaged; asking again may help.
        ProtocolError: the server refused the file, it is out of all proportion, or its address
            is not to be asked.
        MachineError: the disk is full.

    Source: Bulk Data Access, "File Request".
    """
    require_safe_url(url)
    part = Partial(stem, limits)
    headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip", **part.headers()}
    auth = session.auth_for(url) if with_token else httpx.Auth()
    with (
        network_errors(url),
        session.http.stream(
            "GET",
            url,
            headers=headers,
            auth=auth,
            follow_redirects=True,
            extensions=FILES_LANE | session.own_hosts,
        ) as reply,
    ):
        _require_body(reply, part)
        path, sha256 = _store(reply, part, stem, session.clock)
        is_measured = path.suffix == ".gz" or not _MEASURES.isdisjoint(reply.headers)
        return Downloaded(path, sha256, part.size_bytes, is_measured)


def kept(stem: Path) -> Downloaded | None:
    """What an earlier fetch to ``stem`` left: it is whole, or it would not have its name."""
    for path in (stem.with_name(stem.name + ending) for ending in (PLAIN, PACKED)):
        if path.exists():
            return Downloaded(path, sha256_of(path), path.stat().st_size)
    return None


def _store(reply: httpx.Response, part: Partial, stem: Path, clock: Clock) -> tuple[Path, str]:
    with machine_errors(stem), _kept_or_not(part):
        if part.is_all(reply):
            return part.finish_kept()
        with part.open(reply) as stream:
            _copy(reply, part, stream, clock)
            return part.finish(stream)


@contextmanager
def _kept_or_not(part: Partial) -> Iterator[None]:
    """Keep what came over a connection that broke; of a file that is no good, or no room, none."""
    try:
        yield
    except (httpx.RequestError, _CrawlingError):
        part.keep_if_resumable()
        raise
    except (EcwError, OSError):
        part.forget()
        raise


class _CrawlingError(TemporaryError):
    """The body comes too slowly."""


def _copy(reply: httpx.Response, part: Partial, stream: BinaryIO, clock: Clock) -> None:
    since, before = clock.now(), part.size_bytes
    for chunk in reply.iter_raw():
        part.take(chunk)
        stream.write(chunk)
        now = clock.now()
        if now - since >= PATIENCE:
            if part.size_bytes - before < SLOWEST_BYTES_PER_MINUTE:
                raise _CrawlingError(
                    f"{reply.url.host} sends a file at less than"
                    f" {SLOWEST_BYTES_PER_MINUTE >> 10} KB a minute",
                    "run again: what has come is kept if the server lets it be resumed",
                )
            since, before = now, part.size_bytes


def _require_body(reply: httpx.Response, part: Partial) -> None:
    require_not_busy(reply)
    if reply.status_code in (404, 410):
        raise ExpiredLinkError(
            "the link to an export file has expired",
            "run again: the manifest is read anew for fresh links",
        )
    if part.is_all(reply):
        return
    if reply.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.forget()
        raise TemporaryError(
            "the server has no rest of a file that broke off",
            "run again: the file is fetched from its beginning",
        )
    # The history also holds a refusal that a fresh token was fetched for.
    was_sent_on = any(earlier.has_redirect_location for earlier in reply.history)
    if reply.status_code == httpx.codes.UNAUTHORIZED and was_sent_on:
        raise ProtocolError(
            f"{reply.url.host}, where the server sends us for a file, wants a token",
            "none was sent to it; ask the provider's support",
        )
    is_rest = reply.status_code == httpx.codes.PARTIAL_CONTENT and bool(part.headers())
    # 204 is how some servers send a file without a line.
    is_empty = reply.status_code == httpx.codes.NO_CONTENT and not part.headers()
    if not (reply.status_code == httpx.codes.OK or is_rest or is_empty):
        raise _refusal(reply)


def _refusal(reply: httpx.Response) -> EcwError:
    said = f"the server answered {reply.status_code} instead of an export file"
    next_step = "run again; if it stays, ask the provider's support"
    if reply.status_code in _REFUSED_LINK:
        return RefusedLinkError(said, next_step)
    may_pass = reply.is_server_error or reply.status_code == httpx.codes.REQUEST_TIMEOUT
    return TemporaryError(said, next_step) if may_pass else ProtocolError(said, next_step)
