"""The lines of an NDJSON file, plain or gzip, with their numbers. Memory does not grow with it."""

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ecw_pipeline.errors import BadDataError, MachineError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Batch:
    """Lines that follow one another, without their endings and without blank ones."""

    numbers: Sequence[int]
    lines: list[bytes]


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without its ending) for every line that is not blank.

    Raises:
        BadDataError: the gzip stream is cut or damaged.
        MachineError: the file is not there.
    """
    for batch in line_batches(path):
        yield from zip(batch.numbers, batch.lines, strict=True)


def line_batches(path: Path) -> Iterator[Batch]:
    """The lines of `numbered_lines`, a few hundred at once.

    Raises:
        BadDataError: the gzip stream is cut or damaged.
        MachineError: the file is not there.
    """
    next_number = 1
    for block in _whole_lines(path):
        found = block.split(b"\n")
        if next_number == 1:
            found[0] = found[0].removeprefix(BYTE_ORDER_MARK)
        lines = [line.strip() for line in found]
        numbers: Sequence[int] = range(next_number, next_number + len(lines))
        next_number += len(lines)
        if b"" in lines:
            numbers = [number for number, line in zip(numbers, lines, strict=True) if line]
            lines = [line for line in lines if line]
        yield Batch(numbers, lines)


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The file in blocks that end where a line does, without that ending."""
    with _opened(path) as stream:
        try:
            begun: list[bytes] = []  # of a line that goes on in the next block
            while block := stream.read(BLOCK_BYTES):
                whole, ending, rest = block.rpartition(b"\n")
                if ending:
                    yield b"".join([*begun, whole])
                    begun = []
                begun.append(rest)
            if any(begun):
                yield b"".join(begun)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadDataError(
                f"{path.name} is cut short or damaged (gzip: {error})",
                "fetch it again; an export does so by itself",
            ) from error


def longest_line_bytes(path: Path) -> int:
    """How long the longest line is, without its ending."""
    return max((len(line) for _, line in numbered_lines(path)), default=0)


def ends_in_mid_line(path: Path) -> bool:
    """Whether a plain file ends where JSON must go on; of gzip its own trailer tells.

    Many servers write no line ending after the last line, so that its lack says nothing.
    """
    if path.suffix == ".gz" or _ends_with_a_line(path):
        return False
    last = b""
    for _, line in numbered_lines(path):
        last = line
    text = last.decode("utf-8", errors="replace")
    try:
        json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        is_at_end = error.pos >= len(text) - len("fals") or "Unterminated" in error.msg
        return is_at_end and text.startswith("{")
    except RecursionError:
        return False
    return False


def _ends_with_a_line(path: Path) -> bool:
    if not path.stat().st_size:
        return True
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _opened(path: Path) -> BinaryIO:
    try:
        if path.suffix == ".gz":
            return cast("BinaryIO", gzip.open(path, "rb"))
        return path.open("rb", buffering=0)
    except OSError as error:
        raise MachineError(
            f"{path} cannot be read: {error.strerror}", "put it back, or ask for a new export"
        ) from error
