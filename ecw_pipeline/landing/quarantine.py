"""Refused lines, kept with file, line and reason, beside the file they came from."""

import json
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import msgspec

from ecw_pipeline.landing.rules import Refusal


class Quarantine:
    """Writes refused lines and counts them by reason."""

    def __init__(self, stream: BinaryIO, source_file: str) -> None:
        self._stream = stream
        self._source_file = source_file
        self.counts: Counter[str] = Counter()

    def refuse(self, number: int, line: bytes, refusal: Refusal) -> None:
        """Keep one refused line."""
        self.counts[refusal.reason] += 1
        entry = {
            "source_file": self._source_file,
            "source_line": number,
            "reason": refusal.reason,
            "detail": refusal.detail,
            "resource_id": _id_in(line),
            "text": line.decode("utf-8", errors="backslashreplace"),
        }
        self._stream.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")


class _Identified(msgspec.Struct):
    id: str


def _id_in(line: bytes) -> str | None:
    """The resource that a refused line speaks of, if it can be told."""
    try:
        return msgspec.json.decode(line, type=_Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def unreadable_before(path: Path) -> frozenset[int]:
    """The numbers of lines that a table could not read, as a quarantine file tells."""
    if not path.exists():
        return frozenset()
    with path.open(encoding="utf-8") as lines:
        entries = map(json.loads, lines)
        return frozenset(e["source_line"] for e in entries if e["reason"] == "unreadable")
