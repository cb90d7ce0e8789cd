"""A view over NDJSON files as a server sent them: no export, no warehouse, nothing kept.

Lines are judged as in landing, so that a file gives the rows here that it would give a table.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from ecw_pipeline.landing.landing import LandingPaths, LandingReport, screen_file
from ecw_pipeline.landing.unreadable import unreadable_lines
from ecw_pipeline.quoting import literal
from ecw_pipeline.sql_on_fhir.compiler import CompiledView, unfit_data
from ecw_pipeline.stages.long_lines import with_room_for_lines
from ecw_pipeline.warehouse.parquet import write_parquet

OTHER_TYPE = "other_resource_type"
EXAMPLES = 5
_BATCH_ROWS = 2000


@dataclass(frozen=True)
class GivenFile(LandingPaths):
    """A file that stays where its owner keeps it; what is made of it lies in a scratch folder."""

    given: Path

    @property
    def received(self) -> Path:
        return self.given


@dataclass(frozen=True)
class FileRun:
    """What became of one file's lines; those of other types are no fault.

    ``examples`` are the first refused lines, as quarantine tells of them.
    """

    path: Path
    lines_received: int
    lines_of_other_types: int
    lines_refused: int
    examples: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class ViewRun:
    """The rows a view gave, and what became of each file."""

    rows_written: int
    files: tuple[FileRun, ...]


def run_over_files(view: CompiledView, files: Sequence[Path], parquet: Path) -> ViewRun:
    """Write a view's rows over files to a Parquet file; memory does not grow with them.

    Raises:
        BadDataError: a file's gzip stream is cut or damaged.
        UnsupportedViewError: the view fails on data it should take.
    """
    with tempfile.TemporaryDirectory() as scratch:
        given = [GivenFile(Path(scratch), f"{n}.ndjson", path) for n, path in enumerate(files)]
        rows, reports = _run(view, given, [frozenset()] * len(given), parquet)
        return ViewRun(rows, tuple(map(_told, given, reports)))


def rows_of(parquet: Path) -> Iterator[tuple[Any, ...]]:
    """The rows of a Parquet file, read as they are asked for."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT * FROM read_parquet({literal(str(parquet))})")
        while batch := found.fetchmany(_BATCH_ROWS):
            yield from batch


def _run(
    view: CompiledView,
    given: Sequence[GivenFile],
    unreadable: Sequence[frozenset[int]],
    parquet: Path,
) -> tuple[int, list[LandingReport]]:
    """Screen and write; where lines cannot be read as the view's columns, once more without them.

    Raises:
        UnsupportedViewError: every line can be read, so it is the view that fails on its data.
    """
    pairs = zip(given, unreadable, strict=True)
    reports = [screen_file(file, view.resource, lines) for file, lines in pairs]
    try:
        return _write(view, given, parquet), reports
    except duckdb.Error as error:
        found = [unreadable_lines(file.screened, view.read_columns) for file in given]
        if not any(found):
            raise unfit_data("the view fails on this data", error) from None
    return _run(view, given, list(map(frozenset.union, unreadable, found)), parquet)


def _write(view: CompiledView, given: Sequence[GivenFile], parquet: Path) -> int:
    screened = [file.screened for file in given]

    def write(room: int) -> int:
        source = view.from_ndjson(screened, maximum_line_bytes=room)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return write_parquet(connection, view.select(source), parquet)

    return with_room_for_lines(screened, write)


def _told(file: GivenFile, report: LandingReport) -> FileRun:
    other_types = report.reasons.get(OTHER_TYPE, 0)
    refused = report.lines_quarantined - other_types
    with file.quarantine.open(encoding="utf-8") as lines:
        entries = (entry for entry in map(json.loads, lines) if entry["reason"] != OTHER_TYPE)
        examples = tuple(islice(entries, min(refused, EXAMPLES)))
    return FileRun(file.given, report.lines_received, other_types, refused, examples)
