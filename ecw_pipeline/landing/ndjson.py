"""The lines of an NDJSON file, plain or gzip, with their numbers. Memory does not grow with it."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ecw_pipeline.errors import BadDataError, MachineError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BUFFER_BYTES = 1 << 20


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without its ending) for every line that is not blank.

    Raises:
        BadDataError: the gzip stream is cut or damaged.
        MachineError: the file is not there.
    """
    with _opened(path) as stream:
        try:
            for number, line in enumerate(stream, start=1):
                text = line.removeprefix(BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
                if text:
                    yield number, text
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadDataError(
                f"{path.name} is cut short or damaged (gzip: {error})",
                "fetch it again; an export does so by itself",
            ) from error


def longest_line_bytes(path: Path) -> int:
    """How long the longest line is, without its ending."""
    return max((len(line) for _, line in numbered_lines(path)), default=0)


def ends_in_mid_line(path: Path) -> bool:
    """Whether a plain file has no line ending at its end; of gzip its own trailer tells."""
    if path.suffix == ".gz" or not path.stat().st_size:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _opened(path: Path) -> BinaryIO:
    try:
        if path.suffix == ".gz":
            return cast("BinaryIO", gzip.open(path, "rb"))
        return path.open("rb", buffering=BUFFER_BYTES)
    except OSError as error:
        raise MachineError(
            f"{path} cannot be read: {error.strerror}", "put it back, or ask for a new export"
        ) from error
