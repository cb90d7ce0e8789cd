"""The front door of landing: from one received file to screened lines and quarantined ones.

A received file is never touched. Its screened copy stands beside it and can be made again: each
line that can be loaded, with its line number and content hash in front, and with the numbers of
decimal elements as text, because a JSON reader would round them.
"""

import json
from binascii import hexlify
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.fhir.resource_types import is_type_name
from ecw_pipeline.files import finished_file
from ecw_pipeline.landing import shapes
from ecw_pipeline.landing.decimals import quote_decimals
from ecw_pipeline.landing.judge import Judge
from ecw_pipeline.landing.ndjson import Batch, line_batches, numbered_lines
from ecw_pipeline.landing.quarantine import Quarantine
from ecw_pipeline.landing.rules import Refusal, judge_identity

LINE_KEY = "ecw_line"
HASH_KEY = "ecw_hash"
HASH_BYTES = 16
_PLACED = f'{{"{LINE_KEY}":%d,"{HASH_KEY}":"%b",%b\n'.encode()


@dataclass(frozen=True)
class LandingReport:
    """Counts of one file's lines; landed + quarantined equals received."""

    lines_received: int
    lines_landed: int
    lines_quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LandingPaths:
    """Where one received file and what is made of it lie, below an export's folder."""

    export_folder: Path
    source_file: str

    @property
    def received(self) -> Path:
        return self.export_folder / self.source_file

    @property
    def screened(self) -> Path:
        return self.export_folder / "screened" / self.source_file.removesuffix(".gz")

    @property
    def quarantine(self) -> Path:
        return self.export_folder / "quarantine" / self.source_file.removesuffix(".gz")


def screen_file(
    paths: LandingPaths, resource_type: str, refused_lines: frozenset[int] = frozenset()
) -> LandingReport:
    """Split one received file into screened and quarantined lines, in order.

    ``refused_lines`` are numbers of lines that a table could not read: they go to quarantine too.

    Raises:
        BadDataError: the file's gzip stream is cut or damaged.
        MachineError: the disk is full.
    """
    judge = Judge(resource_type)
    landed = received = 0
    with ExitStack() as stack:
        screened = stack.enter_context(finished_file(paths.screened))
        refused = stack.enter_context(finished_file(paths.quarantine))
        quarantine = Quarantine(refused, paths.source_file)
        for batch in _resources(paths.received, resource_type):
            received += len(batch.lines)
            if not refused_lines.isdisjoint(batch.numbers) or not judge.takes_all(batch.lines):
                batch = _judged(batch, judge, refused_lines, quarantine)
            landed += len(batch.lines)
            placed = map(_with_place, batch.numbers, batch.lines)
            screened.write(quote_decimals(b"".join(placed)))
    return LandingReport(received, landed, received - landed, dict(quarantine.counts))


def _resources(path: Path, resource_type: str) -> Iterator[Batch]:
    """The lines of a file without the header that it may have."""
    for batch in line_batches(path):
        has_header = list(batch.numbers[:1]) == [1] and _is_header(batch.lines[0], resource_type)
        yield Batch(batch.numbers[1:], batch.lines[1:]) if has_header else batch


def _judged(
    batch: Batch, judge: Judge, refused_lines: frozenset[int], quarantine: Quarantine
) -> Batch:
    """The lines of a batch that can be loaded; the others go to quarantine."""
    landed: list[tuple[int, bytes]] = []
    for number, line in zip(batch.numbers, batch.lines, strict=True):
        refusal = judge.why_refused(line)
        if refusal is None and number in refused_lines:
            refusal = Refusal("unreadable")
        if refusal is None:
            landed.append((number, line))
        else:
            quarantine.refuse(number, line, refusal)
    return Batch([number for number, _ in landed], [line for _, line in landed])


def type_of_lines(path: Path) -> str:
    """The type of the first resource in a file; empty where there is none."""
    for number, line in numbered_lines(path):
        if not (number == 1 and _is_header(line, "")):
            return _type_of(line)
    return ""


def _type_of(line: bytes) -> str:
    try:
        return str(msgspec.json.decode(line, type=shapes.Envelope).resourceType or "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _is_header(line: bytes, announced_type: str) -> bool:
    """Whether a file's first line says whose resources follow; it is no resource itself.

    Source: Bulk Data Access 3.0, "Response - Complete Status", outputOrganizedBy.
    """
    return announced_type != "Parameters" and _type_of(line) == "Parameters"


def _with_place(number: int, line: bytes) -> bytes:
    """A line with its number and its content hash in front."""
    digest = blake2b(line, digest_size=HASH_BYTES).digest()
    return _PLACED % (number, hexlify(digest), line[1:])


@dataclass(frozen=True)
class Deletion:
    """One resource that the server says is gone, and the line that says so."""

    resource_type: str
    resource_id: str
    source_line: int


def read_deletions(paths: LandingPaths) -> tuple[list[Deletion], LandingReport]:
    """Read a file of `deleted` bundles; what cannot be read goes to quarantine, line by line.

    Of a bundle with an odd entry the other entries count all the same.

    Source: Bulk Data Access, "Response - Complete Status", deleted.
    """
    deletions: list[Deletion] = []
    received = landed = 0
    with finished_file(paths.quarantine) as refused:
        quarantine = Quarantine(refused, paths.source_file)
        for number, line in numbered_lines(paths.received):
            received += 1
            try:
                entries = _entries(line)
            except (BadDataError, ValueError, RecursionError):
                quarantine.refuse(number, line, Refusal("bad_deletion"))
                continue
            found = [_deletion(entry, number) for entry in entries]
            deletions += [one for one in found if one]
            if None in found:
                quarantine.refuse(number, line, Refusal("bad_deletion"))
            else:
                landed += 1
    return deletions, LandingReport(received, landed, received - landed, dict(quarantine.counts))


def _entries(line: bytes) -> list[Any]:
    bundle = json.loads(line)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadDataError("not a Bundle")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise BadDataError("not a Bundle with entries")
    return entries


def _deletion(entry: Any, number: int) -> Deletion | None:
    """What an entry deletes; None where it does not say that in words we know."""
    request = entry.get("request") if isinstance(entry, dict) else None
    named = request if isinstance(request, dict) else {}
    url, method = named.get("url"), named.get("method")
    parts = url.strip("/").split("/") if isinstance(url, str) else []
    if len(parts) < 2 or str(method).upper() != "DELETE":
        return None
    resource_type, resource_id = parts[-2:]
    if not is_type_name(resource_type) or judge_identity(resource_type, resource_id, resource_type):
        return None
    return Deletion(resource_type, resource_id, number)
