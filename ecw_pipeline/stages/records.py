"""What `ops` is told of an export: what it is, its files, and the lines that were refused."""

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import paths_of
from ecw_pipeline.warehouse import bookkeeping

_EXPORT_COLUMNS = (
    "export_id",
    "connection_id",
    "level",
    "since",
    "restriction",
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


def tell_of_files(
    lake: Lake, connection: duckdb.DuckDBPyConnection, export: Export, ready: Sequence[str]
) -> None:
    """Say what the export is and which files and refused lines it came with."""
    bookkeeping.replace_rows(connection, "ops.export", _export_rows(lake, export))
    files = _file_rows(lake, export, ready)
    bookkeeping.forget_files(connection, export.export_id, [row["source_file"] for row in files])
    bookkeeping.insert_rows(connection, "ops.file", files)
    bookkeeping.insert_rows(connection, "ops.quarantine", _quarantine_rows(lake, export, ready))


def _export_rows(lake: Lake, loading: Export) -> list[dict[str, Any]]:
    """Every export as the ledger has it; the one being loaded as it will be after the load."""
    rows = [
        {name: getattr(export, name) for name in _EXPORT_COLUMNS}
        | {"restriction": export.restriction.in_words}
        for export in lake.ledger.exports()
    ]
    states = {one.state for one in lake.ledger.types(loading.export_id)}
    for row in rows:
        if row["export_id"] == loading.export_id and "failed" not in states:
            row["state"] = "loaded"
    return rows


def _file_rows(lake: Lake, export: Export, ready: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {name: getattr(file, name) for name in _FILE_COLUMNS} | {"source_file": file.path}
        for file in lake.ledger.files(export.export_id)
        if file.path and (file.kind != "output" or file.resource_type in ready)
    ]


def _quarantine_rows(lake: Lake, export: Export, ready: Sequence[str]) -> list[dict[str, Any]]:
    """Where each refused line is and why; its text stays in the landing folder."""
    names = ("source_file", "source_line", "resource_id", "reason", "detail")
    rows: list[dict[str, Any]] = []
    for file in lake.ledger.files(export.export_id):
        if file.lines_quarantined and (file.kind != "output" or file.resource_type in ready):
            with paths_of(lake, export, file).quarantine.open(encoding="utf-8") as lines:
                entries = map(json.loads, lines)
                place = {"export_id": export.export_id, "resource_type": file.resource_type}
                rows.extend(place | {name: entry[name] for name in names} for entry in entries)
    return rows
