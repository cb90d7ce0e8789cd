"""From flat files to a published warehouse: whole exports, one transaction each, then publish."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.landing.landing import Deletion
from ecw_pipeline.ledger import Export
from ecw_pipeline.marts.catalog import Mart
from ecw_pipeline.stages.flattening import flat_files
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import counts_of, deletions_of, paths_of, screened_files
from ecw_pipeline.stages.tables import Table, tables_of
from ecw_pipeline.warehouse import bookkeeping
from ecw_pipeline.warehouse.database import transaction, working_warehouse
from ecw_pipeline.warehouse.mart_runner import build_mart
from ecw_pipeline.warehouse.merge import (
    DeletedResource,
    Incoming,
    Moved,
    ScreenedFile,
    fold,
    refold_table,
)
from ecw_pipeline.warehouse.publish import publish

_EXPORT_COLUMNS = (
    "export_id",
    "connection_id",
    "level",
    "since",
    "transaction_time",
    "state",
    "requested_at",
    "completed_at",
    "error",
)
_FILE_COLUMNS = (
    "export_id",
    "kind",
    "resource_type",
    "sha256",
    "size_bytes",
    "manifest_count",
    "lines_received",
    "lines_landed",
    "lines_quarantined",
)


@dataclass(frozen=True)
class Loaded:
    """What loading one type of one export changed."""

    export_id: str
    resource_type: str
    lines_landed: int
    moved: Moved


@dataclass(frozen=True)
class Flats:
    """Each table's flat files by export, and why some tables cannot follow."""

    files: Mapping[str, Mapping[str, Path]]
    broken: Mapping[str, str]


def load_exports(lake: Lake) -> list[Loaded]:
    """Load every export that has landed and is not loaded, oldest first, then publish.

    Tables whose view is new or changed, or that were behind, are built anew. A table whose view
    fails stays at its last good state, marked stale.

    Raises:
        MachineError: the disk is full; the published warehouse stays as it was.
    """
    with lake.only_one("load"):
        arrived = [e for e in lake.ledger.exports() if e.has_arrived]
        ready = sorted(filter(lambda e: _ready_types(lake, e), arrived), key=_age)
        flats = _gather_flats(lake, arrived)
        loaded: list[Loaded] = []
        with working_warehouse(lake.folder.working_warehouse) as connection:
            mended = _mend_tables(lake, connection, flats)
            for export in ready:
                loaded.extend(_load_export(lake, connection, export, flats))
        if loaded or mended or not lake.folder.warehouse.exists():
            publish(lake.folder.working_warehouse, lake.folder.warehouse)
    return loaded


def _age(export: Export) -> tuple[str, str]:
    return str(export.transaction_time), export.export_id


def _ready_types(lake: Lake, export: Export) -> list[str]:
    """The types that can be loaded now; none while some of the export are still on their way."""
    types = lake.ledger.types(export.export_id)
    if any(one.state == "pending" for one in types):
        return []
    return [one.resource_type for one in types if one.state == "landed"]


def _gather_flats(lake: Lake, exports: Sequence[Export]) -> Flats:
    """Every table's flat files, written now where missing."""
    landed = [e for e in exports if not _is_pending(lake, e)]
    files: dict[str, Mapping[str, Path]] = {}
    broken: dict[str, str] = {}
    for table in lake.tables.values():
        try:
            files[table.name] = flat_files(lake, table, landed)
        except UnsupportedViewError as error:
            broken[table.name] = error.message
    return Flats(files, broken)


def _is_pending(lake: Lake, export: Export) -> bool:
    return any(one.state == "pending" for one in lake.ledger.types(export.export_id))


def _mend_tables(lake: Lake, connection: duckdb.DuckDBPyConnection, flats: Flats) -> bool:
    """Build anew the tables that are new, changed or behind; whether there were any."""
    sound = [t.in_warehouse for t in lake.tables.values() if t.name not in flats.broken]
    behind = bookkeeping.behind_tables(connection, sound)
    if behind:
        with transaction(connection):
            for table in behind:
                refold_table(connection, table, list(flats.files[table.name].values()))
                bookkeeping.mark_table(connection, table.name, table.fingerprint)
    if flats.broken:
        with transaction(connection):
            for name, reason in flats.broken.items():
                bookkeeping.mark_table(connection, name, "", reason)
    return bool(behind)


def _load_export(
    lake: Lake, connection: duckdb.DuckDBPyConnection, export: Export, flats: Flats
) -> list[Loaded]:
    """Load what has landed of one export, in one transaction."""
    deletions = deletions_of(lake, export)
    ready = _ready_types(lake, export)
    with transaction(connection):
        loaded = [
            _load_type(
                lake,
                connection,
                _incoming(lake, export, name, deletions),
                export,
                _followers(lake, name, flats),
            )
            for name in ready
        ]
        bookkeeping.replace_rows(connection, "ops.export", _export_rows(lake))
        files = _file_rows(lake, export, ready)
        bookkeeping.forget_files(connection, export.export_id, [row["source_file"] for row in files])
        bookkeeping.insert_rows(connection, "ops.file", files)
        bookkeeping.insert_rows(connection, "ops.quarantine", _quarantine_rows(lake, export, ready))
    for name in ready:
        lake.ledger.mark_type(export.export_id, name, "loaded")
    return loaded


def _followers(
    lake: Lake, resource_type: str, flats: Flats
) -> list[tuple[Table, Mapping[str, Path]]]:
    """The tables of a type that can follow, each with its flat files."""
    return [
        (table, flats.files[table.name])
        for table in tables_of(lake.tables, resource_type)
        if table.name not in flats.broken
    ]


def _load_type(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    incoming: Incoming,
    export: Export,
    followers: Sequence[tuple[Table, Mapping[str, Path]]],
) -> Loaded:
    started_at = lake.clock.now()
    moved = fold(connection, incoming, [(table.in_warehouse, files) for table, files in followers])
    counts = counts_of(lake, export, incoming.resource_type)
    columns = {
        "lines_received": counts.lines_received,
        "lines_landed": counts.lines_landed,
        "lines_quarantined": counts.lines_quarantined,
        "manifest_count": counts.manifest_count,
    }
    now = lake.clock.now()
    seconds = (now - started_at).total_seconds()
    bookkeeping.record_load(connection, incoming, columns, moved, now, seconds)
    return Loaded(export.export_id, incoming.resource_type, counts.lines_landed, moved)


def _incoming(
    lake: Lake, export: Export, resource_type: str, deletions: Iterable[tuple[str, Deletion]]
) -> Incoming:
    return Incoming(
        connection_id=export.connection_id,
        export_id=export.export_id,
        resource_type=resource_type,
        transaction_time=export.known_at,
        files=[
            ScreenedFile(path, file.path)
            for file, path in screened_files(lake, export, resource_type)
        ],
        deletions=[
            DeletedResource(deletion.resource_id, source_file, deletion.source_line)
            for source_file, deletion in deletions
            if deletion.resource_type == resource_type
        ],
    )


def _export_rows(lake: Lake) -> list[dict[str, Any]]:
    return [
        {name: getattr(export, name) for name in _EXPORT_COLUMNS}
        for export in lake.ledger.exports()
    ]


def _file_rows(lake: Lake, export: Export, ready: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {name: getattr(file, name) for name in _FILE_COLUMNS} | {"source_file": file.path}
        for file in lake.ledger.files(export.export_id)
        if file.path and (file.kind != "output" or file.resource_type in ready)
    ]


def _quarantine_rows(lake: Lake, export: Export, ready: Sequence[str]) -> list[dict[str, Any]]:
    """Where each refused line is and why; its text stays in the landing folder."""
    names = ("source_file", "source_line", "reason", "detail")
    rows: list[dict[str, Any]] = []
    for file in lake.ledger.files(export.export_id):
        if file.lines_quarantined and (file.kind != "output" or file.resource_type in ready):
            with paths_of(lake, export, file).quarantine.open(encoding="utf-8") as lines:
                entries = map(json.loads, lines)
                place = {"export_id": export.export_id, "resource_type": file.resource_type}
                rows.extend(place | {name: entry[name] for name in names} for entry in entries)
    return rows


def build_marts(lake: Lake, marts: Iterable[Mart]) -> dict[str, int]:
    """Build marts from what is loaded now, then publish; returns the rows of each.

    Raises:
        UnsupportedViewError: a mart's query cannot run; those before it are kept.
    """
    with lake.only_one("load"):
        with working_warehouse(lake.folder.working_warehouse) as connection:
            built = {m.name: build_mart(connection, m.name, m.question, m.sql) for m in marts}
        publish(lake.folder.working_warehouse, lake.folder.warehouse)
    return built
