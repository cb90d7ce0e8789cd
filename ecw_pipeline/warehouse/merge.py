"""Load: fold what an export brought into `core`, in one transaction, in any order of exports.

Every received version is a row of `ops.resource_version`. A resource's versions, in time order,
with equal neighbours taken as one, end in its current version; `core` holds the rows of those.
Loading an export again, or a late one, refolds only the resources it touches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.warehouse.schema import WarehouseTable

DELETED_HASH = "deleted"

# Ties are broken by content, never by arrival, so that the order of loads does not matter.
_TIME_ORDER = (
    "version_at, transaction_time, NOT is_deleted, content_hash,"
    " export_id, source_file, source_line"
)
# What every screened line must give, whatever its type.
VERSION_COLUMNS = {
    "id": "VARCHAR",
    "ecw_hash": "VARCHAR",
    "ecw_line": "BIGINT",
    "meta": "STRUCT(lastUpdated VARCHAR)",
}
_SAME_PLACE = ("export_id", "source_file", "source_line")


@dataclass(frozen=True)
class ScreenedFile:
    """A screened file and the received one that its lines are counted in."""

    path: Path
    source_file: str


@dataclass(frozen=True)
class DeletedResource:
    """A resource that an export says is gone."""

    resource_id: str
    source_file: str
    source_line: int


@dataclass(frozen=True)
class Incoming:
    """What one export brings of one resource type."""

    connection_id: str
    export_id: str
    resource_type: str
    transaction_time: datetime
    files: Sequence[ScreenedFile]
    deletions: Sequence[DeletedResource]


@dataclass(frozen=True)
class Moved:
    """What a load changed: resources new or changed, gone, and repeats within the export."""

    resources_changed: int
    resources_deleted: int
    lines_superseded: int


def fold(
    connection: duckdb.DuckDBPyConnection,
    incoming: Incoming,
    flat_files: Sequence[tuple[WarehouseTable, Mapping[str, Path]]],
) -> Moved:
    """Record an export's versions of one type and move what they change. Needs a transaction.

    ``flat_files`` gives, for each table of the type that can follow, its flat file by export.
    """
    scope = _scope(incoming)
    _record_versions(connection, incoming, scope)
    _find_moved(connection, scope)
    found = connection.execute("SELECT DISTINCT export_id FROM moved").fetchall()
    origins = [export_id for (export_id,) in found if export_id is not None]
    for table, files in flat_files:
        paths = [files[export_id] for export_id in origins if export_id in files]
        _move_rows(connection, table, incoming.connection_id, paths)
    _move_current(connection, incoming)
    return _count(connection)


def refold_table(
    connection: duckdb.DuckDBPyConnection, table: WarehouseTable, paths: Sequence[Path]
) -> None:
    """Build one core table anew from all its flat files. Needs a transaction."""
    for statement in table.ddl():
        connection.execute(statement)
    if not paths:
        return
    connection.execute(
        f"INSERT INTO {table.core_name} BY NAME SELECT f.* FROM {_parquet(paths)} AS f"
        f" SEMI JOIN ops.resource_current AS c ON c.connection_id = f.connection_id"
        f" AND c.resource_type = {literal(table.resource_type)}"
        f" AND c.resource_id = f.{identifier(table.key)} AND {_same_place('c', 'f')}"
    )


def _scope(incoming: Incoming) -> str:
    return (
        f"connection_id = {literal(incoming.connection_id)}"
        f" AND resource_type = {literal(incoming.resource_type)}"
    )


def _record_versions(connection: duckdb.DuckDBPyConnection, incoming: Incoming, scope: str) -> None:
    """Write the export's versions, in place of what an earlier load of it wrote."""
    mine = f"{scope} AND export_id = {literal(incoming.export_id)}"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS"
        f" SELECT DISTINCT resource_id FROM ops.resource_version WHERE {mine}"
    )
    connection.execute(f"DELETE FROM ops.resource_version WHERE {mine}")
    connection.execute("CREATE OR REPLACE TEMP TABLE received AS FROM ops.resource_version LIMIT 0")
    for file in incoming.files:
        _read_versions(connection, incoming, file)
    _read_deletions(connection, incoming)
    connection.execute("INSERT INTO ops.resource_version FROM received")
    connection.execute("INSERT INTO touched SELECT DISTINCT resource_id FROM received")


def _read_versions(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, file: ScreenedFile
) -> None:
    connection.execute(
        """
        INSERT INTO received
        SELECT $connection_id, $resource_type, id,
               coalesce(try_cast(meta.lastUpdated AS TIMESTAMPTZ), $transaction_time),
               $transaction_time, ecw_hash, false, $export_id, $source_file, ecw_line
        FROM read_json($path, format = 'newline_delimited', maximum_object_size = 1073741824,
             columns = {id: 'VARCHAR', ecw_hash: 'VARCHAR', ecw_line: 'BIGINT',
                        meta: 'STRUCT(lastUpdated VARCHAR)'})
        """,
        {
            "connection_id": incoming.connection_id,
            "resource_type": incoming.resource_type,
            "transaction_time": incoming.transaction_time,
            "export_id": incoming.export_id,
            "source_file": file.source_file,
            "path": str(file.path),
        },
    )


def _read_deletions(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Within one export, a resource that is also in the output is not deleted."""
    if not incoming.deletions:
        return
    connection.execute(
        """
        INSERT INTO received
        SELECT DISTINCT ON (resource_id)
               $connection_id, $resource_type, d.resource_id, $at, $at, $hash, true, $export_id,
               d.source_file, d.source_line
        FROM (SELECT unnest($ids) AS resource_id, unnest($files) AS source_file,
                     unnest($lines) AS source_line) AS d
        ANTI JOIN received AS r ON r.resource_id = d.resource_id
        """,
        {
            "connection_id": incoming.connection_id,
            "resource_type": incoming.resource_type,
            "at": incoming.transaction_time,
            "hash": DELETED_HASH,
            "export_id": incoming.export_id,
            "ids": [deletion.resource_id for deletion in incoming.deletions],
            "files": [deletion.source_file for deletion in incoming.deletions],
            "lines": [deletion.source_line for deletion in incoming.deletions],
        },
    )


def _find_moved(connection: duckdb.DuckDBPyConnection, scope: str) -> None:
    """List the touched resources whose current version is now another one, or none."""
    places = ", ".join(_SAME_PLACE)
    window = f"PARTITION BY resource_id ORDER BY {_TIME_ORDER}"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE moved AS
        WITH versions AS (
            SELECT *, lag(content_hash) OVER ({window}) AS hash_before
            FROM (FROM ops.resource_version WHERE {scope}) SEMI JOIN touched USING (resource_id)
        ), starts AS (
            SELECT *, lead(resource_id) OVER ({window}) IS NULL AS is_last
            FROM versions WHERE hash_before IS DISTINCT FROM content_hash
        ), now_current AS (
            SELECT resource_id, {places} FROM starts WHERE is_last AND NOT is_deleted
        ), was_current AS (
            SELECT resource_id, {places} FROM (FROM ops.resource_current WHERE {scope})
            SEMI JOIN touched USING (resource_id)
        )
        SELECT coalesce(n.resource_id, w.resource_id) AS resource_id,
               n.export_id, n.source_file, n.source_line
        FROM now_current AS n FULL JOIN was_current AS w USING (resource_id)
        WHERE (n.export_id, n.source_file, n.source_line)
              IS DISTINCT FROM (w.export_id, w.source_file, w.source_line)
        """
    )


def _move_rows(
    connection: duckdb.DuckDBPyConnection,
    table: WarehouseTable,
    connection_id: str,
    paths: Sequence[Path],
) -> None:
    key = identifier(table.key)
    connection.execute(
        f"DELETE FROM {table.core_name} AS t USING moved AS m"
        f" WHERE t.connection_id = {literal(connection_id)} AND t.{key} = m.resource_id"
    )
    if paths:
        connection.execute(
            f"INSERT INTO {table.core_name} BY NAME SELECT f.* FROM {_parquet(paths)} AS f"
            f" SEMI JOIN moved AS m ON m.resource_id = f.{key} AND {_same_place('m', 'f')}"
            f" WHERE f.connection_id = {literal(connection_id)}"
        )


def _move_current(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    connection.execute(
        f"DELETE FROM ops.resource_current AS c USING moved AS m"
        f" WHERE c.resource_id = m.resource_id AND {_scope(incoming)}"
    )
    connection.execute(
        "INSERT INTO ops.resource_current SELECT $connection_id, $resource_type, resource_id,"
        " export_id, source_file, source_line FROM moved WHERE export_id IS NOT NULL",
        {"connection_id": incoming.connection_id, "resource_type": incoming.resource_type},
    )


def _count(connection: duckdb.DuckDBPyConnection) -> Moved:
    row = connection.execute(
        "SELECT count(export_id), count(*) - count(export_id) FROM moved"
    ).fetchone()
    repeats = connection.execute(
        "SELECT count(*) - count(DISTINCT resource_id) FROM received WHERE NOT is_deleted"
    ).fetchone()
    changed, deleted = row or (0, 0)
    return Moved(int(changed), int(deleted), int(repeats[0]) if repeats else 0)


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"


def _same_place(left: str, right: str) -> str:
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in _SAME_PLACE)
