"""A file that is on its way: what has come, how it is resumed, and when it is refused.

What has come of a file is kept only if the server gave it a strong ETag: then the rest can be
asked for and is sure to belong to it.
"""

import hashlib
import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

import httpx

from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.files import CHUNK_BYTES, PRIVATE_FILE_MODE, private_folder, rename_whole

PLAIN, PACKED = ".ndjson", ".ndjson.gz"
GZIP_MAGIC = b"\x1f\x8b"
# Up to here a file may unpack to anything: small files of one word repeated are no attack.
HARMLESS_BYTES = 64 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_NO_RANGE = re.compile(r"bytes \*/(\d+)")


class Partial:
    """``<stem>.part`` and, beside it, the ETag of the file that it is the beginning of."""

    def __init__(self, stem: Path, limits: Limits) -> None:
        self._stem, self._limits = stem, limits
        self._path = stem.with_name(stem.name + ".part")
        self._tag = stem.with_name(stem.name + ".etag")
        self._digest = hashlib.sha256()
        self._unpacked = _Unpacked(stem.name + PACKED, limits)
        self.size_bytes = 0
        self._total_bytes: int | None = None

    def headers(self) -> dict[str, str]:
        """How to ask for the rest; empty where nothing has come."""
        if not (self._path.exists() and self._tag.exists() and self._path.stat().st_size):
            return {}
        kept_bytes, etag = self._path.stat().st_size, self._tag.read_text(encoding="latin-1")
        return {"Range": f"bytes={kept_bytes}-", "If-Range": etag}

    def is_all(self, reply: httpx.Response) -> bool:
        """Whether a reply says that nothing is missing: a kill came just before the renaming.

        Source: RFC 9110, section 15.5.17: of a file that was changed, 200 brings all.
        """
        place = _NO_RANGE.fullmatch(reply.headers.get("content-range", ""))
        return bool(
            reply.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
            and place
            and self.headers()
            and int(place[1]) == self._path.stat().st_size
        )

    def finish_kept(self) -> tuple[Path, str]:
        """Give what had come whole its name; see `finish`."""
        self._take_kept()
        with self._path.open("r+b") as stream:
            return self.finish(stream)

    def open(self, reply: httpx.Response) -> BinaryIO:
        """Open the file for what a reply brings: the rest, or all of it once more.

        Raises:
            TemporaryError: the reply is of another file, or of another place in it.
        """
        private_folder(self._path.parent)
        is_rest = reply.status_code == httpx.codes.PARTIAL_CONTENT
        if is_rest:
            self._take_up(reply)
        self._remember(reply)
        mode = os.O_APPEND if is_rest else os.O_TRUNC
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | mode, PRIVATE_FILE_MODE)
        return os.fdopen(descriptor, "wb", buffering=CHUNK_BYTES)

    def _take_up(self, reply: httpx.Response) -> None:
        place = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", ""))
        asked = self.headers()
        etag = reply.headers.get("etag", asked.get("If-Range"))
        if not place or not asked or asked["Range"] != f"bytes={place[1]}-":
            raise self._unusable()
        if etag != asked["If-Range"]:
            raise self._unusable()
        self._total_bytes = int(place[2]) if place[2] != "*" else None
        self._take_kept()

    def _take_kept(self) -> None:
        with self._path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                self.take(chunk)

    def _unusable(self) -> TemporaryError:
        self.forget()
        return TemporaryError(
            "the server sent another part of a file than was asked for",
            "run again: the file is fetched from its beginning",
        )

    def _remember(self, reply: httpx.Response) -> None:
        """Keep the ETag; without a strong one there is nothing to resume by."""
        etag = reply.headers.get("etag", "")
        if etag.startswith('"'):
            self._tag.touch(PRIVATE_FILE_MODE)
            self._tag.write_text(etag, encoding="latin-1")
        elif reply.status_code != httpx.codes.PARTIAL_CONTENT:
            self._tag.unlink(missing_ok=True)

    def take(self, chunk: bytes) -> None:
        """Count and judge what has come.

        Raises:
            ProtocolError: the file is larger, or unpacks to more, than is allowed.
            TemporaryError: it is not the gzip it began as.
        """
        self.size_bytes += len(chunk)
        self._digest.update(chunk)
        self._unpacked.take(chunk)
        if self.size_bytes > self._limits.file_bytes:
            raise ProtocolError(
                f"{self._stem.name} is larger than {self._limits.file_bytes >> 20} MB",
                "raise ECW_MAX_FILE_MEGABYTES if the server really has such files",
            )

    def finish(self, stream: BinaryIO) -> tuple[Path, str]:
        """Give the whole file its name; returns its path and SHA-256.

        Raises:
            TemporaryError: it is not whole.
        """
        if self._total_bytes not in (None, self.size_bytes):
            raise self._unusable()
        self._unpacked.finish()
        stream.flush()
        os.fsync(stream.fileno())
        path = self._stem.with_name(self._stem.name + (PACKED if self._unpacked.is_gzip else PLAIN))
        rename_whole(self._path, path)
        self._tag.unlink(missing_ok=True)
        return path, self._digest.hexdigest()

    def keep_if_resumable(self) -> None:
        """Leave what has come for the next attempt, if it can be resumed."""
        if not self._tag.exists():
            self.forget()

    def forget(self) -> None:
        """Throw away what has come."""
        self._path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)


class _Unpacked:
    """Counts what gzip bytes unpack to, and keeps none of it."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name, self._limits = name, limits
        self._head = b""
        self._inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._packed_bytes = self._plain_bytes = 0

    @property
    def is_gzip(self) -> bool:
        return self._head == GZIP_MAGIC

    def take(self, chunk: bytes) -> None:
        missing = len(GZIP_MAGIC) - len(self._head)
        if missing > 0:
            self._head += chunk[:missing]
            if len(self._head) < len(GZIP_MAGIC):
                return
            chunk = self._head + chunk[missing:]
        if self.is_gzip:
            self._packed_bytes += len(chunk)
            self._inflate(chunk)

    def _inflate(self, chunk: bytes) -> None:
        try:
            plain = b""
            while chunk or len(plain) == CHUNK_BYTES:
                if self._inflating.eof:  # gzip files may be several, one after the other
                    self._inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
                plain = self._inflating.decompress(chunk, CHUNK_BYTES)
                self._plain_bytes += len(plain)
                self._require_sane()
                chunk = self._inflating.unconsumed_tail or self._inflating.unused_data.lstrip(b"\0")
        except zlib.error as error:
            raise self._damaged() from error

    def _require_sane(self) -> None:
        allowed = max(HARMLESS_BYTES, self._packed_bytes * self._limits.unpacked_ratio)
        if self._plain_bytes > allowed:
            raise ProtocolError(
                f"{self._name} unpacks to more than {self._limits.unpacked_ratio} times its size",
                "it looks like an attack; raise ECW_MAX_UNPACKED_RATIO if it is none",
            )

    def finish(self) -> None:
        if self.is_gzip and not self._inflating.eof:
            raise self._damaged()

    def _damaged(self) -> TemporaryError:
        return TemporaryError(
            f"{self._name} is cut short or damaged (gzip)", "run again: it is fetched anew"
        )
