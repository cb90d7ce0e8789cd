"""From screened lines to flat files: one Parquet per table and export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.landing.unreadable import unreadable_lines
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.sql_on_fhir.compiler import unfit_data
from ecw_pipeline.stages.flattening_together import Lines, Wanted, write_together
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import counts_of, quarantine_lines, screened_files
from ecw_pipeline.stages.long_lines import with_room_for_lines
from ecw_pipeline.stages.tables import Table, why_uncompilable
from ecw_pipeline.warehouse.parquet import stamp_of, write_parquet


@dataclass(frozen=True)
class Flattened:
    """The rows one export gave one table."""

    table: str
    export_id: str
    path: Path | None
    rows_written: int = 0


def flatten(lake: Lake, table: Table, export: Export) -> Flattened:
    """Write one table's rows of one export to Parquet, unless they are there already.

    A line that the view cannot read goes to quarantine, and the rest is written.

    Raises:
        UnsupportedViewError: the view cannot be compiled, or fails on data it should take.
    """
    with lake.only_one(f"flatten-{table.resource_type}"):
        return _flatten(lake, table, export)


def _flatten(lake: Lake, table: Table, export: Export) -> Flattened:
    path = lake.folder.flat(table.name, export.export_id)
    if not counts_of(lake, export, table.resource_type).lines_landed:
        return Flattened(table.name, export.export_id, None)
    if stamp_of(path) == _stamp(lake, table, export):
        return Flattened(table.name, export.export_id, path)
    try:
        rows = _write(lake, table, export, path)
    except duckdb.Error as error:
        _quarantine_unreadable(lake, table, export, error)
        return _flatten(lake, table, export)
    return Flattened(table.name, export.export_id, path, rows)


def flatten_type(
    lake: Lake, tables: Sequence[Table], export: Export
) -> tuple[list[Flattened], dict[str, str]]:
    """Flatten an export for tables of one type; returns what it gave, and why views fail, by table.

    A line that one table cannot read goes to quarantine, and tables before it still have it.
    """
    together = _flatten_together(lake, tables, export)
    done: list[Flattened] = []
    broken: dict[str, str] = {}
    for table in tables:
        try:
            one = flatten(lake, table, export)
        except UnsupportedViewError as error:
            broken[table.name] = str(error)
        else:
            done.append(replace(one, rows_written=together.get(table.name, one.rows_written)))
    return done, broken


def _flatten_together(lake: Lake, tables: Sequence[Table], export: Export) -> dict[str, int]:
    """Write what is not there yet, from one reading; returns the rows of the tables written."""
    resource_type = tables[0].resource_type if tables else ""
    if not resource_type or not counts_of(lake, export, resource_type).lines_landed:
        return {}
    usable = [t for t in tables if t.resource_type == resource_type and not why_uncompilable(t)]
    with lake.only_one(f"flatten-{resource_type}"):
        wanted = [
            Wanted(t, lake.folder.flat(t.name, export.export_id), _stamp(lake, t, export))
            for t in usable
        ]
        missing = [one for one in wanted if stamp_of(one.path) != one.stamp]
        if not missing:
            return {}  # the screened lines may be gone, and are not needed
        files = [(file.path, path) for file, path in screened_files(lake, export, resource_type)]
        lines = Lines(export.connection_id, export.export_id, files)
        return write_together(missing, lines, lake.folder.state / f"part-{resource_type}.ndjson")


class FlatFiles(Mapping[str, Path]):
    """A table's flat file of each export that has rows for it, written when it is looked up.

    A load looks up the few exports it moves rows of; building a table anew looks up all.
    Looking up raises `UnsupportedViewError` where `flatten` does.
    """

    def __init__(self, lake: Lake, table: Table, exports: Sequence[Export]) -> None:
        self._lake = lake
        self._table = table
        self._exports = {export.export_id: export for export in exports}
        self._known: dict[str, Path | None] = {}

    def __getitem__(self, export_id: str) -> Path:
        if export_id not in self._known:
            made = flatten(self._lake, self._table, self._exports[export_id])
            self._known[export_id] = made.path
        path = self._known[export_id]
        if path is None:
            raise KeyError(export_id)
        return path

    def __iter__(self) -> Iterator[str]:
        return (export_id for export_id in self._exports if export_id in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _stamp(lake: Lake, table: Table, export: Export) -> str:
    """What a flat file is made from: the view, and how many lines of the type could be read."""
    return f"{table.fingerprint}-{counts_of(lake, export, table.resource_type).lines_landed}"


def _write(lake: Lake, table: Table, export: Export, path: Path) -> int:
    files = screened_files(lake, export, table.resource_type)

    def write(room: int) -> int:
        parts = [
            table.flat_select(export.connection_id, export.export_id, file.path, screened, room)
            for file, screened in files
        ]
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            query = "\nUNION ALL\n".join(parts)
            return write_parquet(connection, query, path, _stamp(lake, table, export))

    return with_room_for_lines([screened for _, screened in files], write)


def _quarantine_unreadable(lake: Lake, table: Table, export: Export, error: duckdb.Error) -> None:
    """Set aside the lines that the view's columns cannot be read from.

    Raises:
        UnsupportedViewError: every line can be read, so it is the view that fails on its data.
    """
    found = 0
    for file, screened in screened_files(lake, export, table.resource_type):
        if lines := unreadable_lines(screened, table.compiled.read_columns):
            found += len(lines)
            quarantine_lines(lake, export, file, lines)
    if not found:
        subject = f"table {table.name} fails on the data of export {export.export_id}"
        raise unfit_data(subject, error) from None
