"""The tables of a type from one reading of its lines, part by part.

To read lines costs about as much as to make a table of them. What cannot be done this way is left
to `flattening`, which makes one table at a time and finds out what is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow

from ecw_pipeline.files import PRIVATE_FILE_MODE, machine_errors
from ecw_pipeline.sql_on_fhir.compiler import common_columns, ndjson_relation
from ecw_pipeline.stages.tables import Table
from ecw_pipeline.warehouse.parquet import parquet_file

# A part and what is made of it take some six times as much memory.
PART_BYTES = 32 * 1024 * 1024
# Arrow has no type for these that Parquet readers know as such.
_NOT_BY_ARROW = frozenset({"HUGEINT", "JSON", "UUID"})


@dataclass(frozen=True)
class Wanted:
    """A table whose flat file is to be written, where, and the stamp that goes into it."""

    table: Table
    path: Path
    stamp: str


@dataclass(frozen=True)
class Lines:
    """The screened lines of one type of an export: each received file's name, and its lines."""

    connection_id: str
    export_id: str
    files: Sequence[tuple[str, Path]]


def write_together(wanted: Sequence[Wanted], lines: Lines, scratch: Path) -> dict[str, int]:
    """Write flat files of several tables; returns the rows of those that are written.

    Args:
        scratch: where parts of large files are put, one at a time.

    Raises:
        MachineError: the disk is full.
    """
    fit = [one for one in wanted if _goes_by_arrow(one.table)]
    columns, views = common_columns(one.table.compiled for one in fit)
    chosen = [one for one in fit if one.table.compiled in views]
    if len(chosen) < 2 or not lines.files:
        return {}
    try:
        return _write(chosen, columns, lines, scratch)
    except duckdb.Error:
        return {}


def _goes_by_arrow(table: Table) -> bool:
    types = {column.sql_type.removesuffix("[]") for column in table.compiled.columns}
    return _NOT_BY_ARROW.isdisjoint(types)


def _write(
    wanted: Sequence[Wanted], columns: Mapping[str, str], lines: Lines, scratch: Path
) -> dict[str, int]:
    rows: Counter[str] = Counter()
    with ExitStack() as files:
        files.callback(scratch.unlink, missing_ok=True)
        add = {
            one.table.name: files.enter_context(parquet_file(one.path, one.stamp)) for one in wanted
        }
        for source_file, screened in lines.files:
            queries = {
                one.table.name: one.table.flat_rows(
                    lines.connection_id, lines.export_id, source_file, "lines"
                )
                for one in wanted
            }
            for part in _parts(screened, scratch):
                for name, found in _tables_of(part, columns, queries):
                    add[name](found)
                    rows[name] += found.num_rows
    return dict(rows)


def _tables_of(
    part: Path, columns: Mapping[str, str], queries: Mapping[str, str]
) -> Iterator[tuple[str, pyarrow.Table]]:
    """The rows that each query gives of a part's lines.

    Each part has an engine of its own, which gives all memory back at its end; two threads would
    wait for each other for a third of the time.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = ndjson_relation([part], columns)
        connection.execute(f"CREATE TEMP TABLE lines AS FROM {relation}")
        for name, query in queries.items():
            yield name, connection.execute(query).to_arrow_table()


def _parts(screened: Path, scratch: Path) -> Iterator[Path]:
    """The file itself where it is small, else one part of its lines after the other."""
    if screened.stat().st_size <= PART_BYTES:
        yield screened
        return
    with screened.open("rb") as lines:
        while part := lines.read(PART_BYTES):
            with machine_errors(scratch):
                scratch.touch(PRIVATE_FILE_MODE)
                scratch.write_bytes(part + lines.readline())
            yield scratch
