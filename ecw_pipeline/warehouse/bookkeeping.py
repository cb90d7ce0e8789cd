"""The `ops` tables that say what was asked for, received, refused and loaded."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow

from ecw_pipeline.quoting import identifier
from ecw_pipeline.warehouse.merge import Moved
from ecw_pipeline.warehouse.schema import WarehouseTable
from ecw_pipeline.warehouse.versions import Incoming


def is_behind(connection: duckdb.DuckDBPyConnection, table: WarehouseTable) -> bool:
    """Whether a table is not built from its present view, or lags behind what is loaded."""
    good = connection.execute(
        "SELECT count(*) FROM ops.table_state"
        " WHERE NOT is_stale AND table_name = ? AND fingerprint = ?",
        [table.name, table.fingerprint],
    ).fetchone()
    return not (good and good[0])


def loaded_types(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], int]:
    """How many lines of which (export, resource type) this warehouse holds: it alone can say."""
    query = "SELECT export_id, resource_type, lines_landed FROM ops.load"
    rows = connection.execute(query).fetchall()
    return {(export_id, resource_type): lines for export_id, resource_type, lines in rows}


def built_tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The tables that `core` has, of this view or an earlier one."""
    query = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'"
    return {name for (name,) in connection.execute(query).fetchall()}


def drop_tables_but(connection: duckdb.DuckDBPyConnection, names: set[str]) -> bool:
    """Drop the tables whose view is gone; whether there were any."""
    rows = connection.execute("SELECT table_name FROM ops.table_state").fetchall()
    gone = [name for (name,) in rows if name not in names]
    for name in gone:
        for schema in ("core", "history"):
            connection.execute(f"DROP TABLE IF EXISTS {schema}.{identifier(name)}")
        connection.execute("DELETE FROM ops.table_state WHERE table_name = ?", [name])
    return bool(gone)


def stale_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The tables that are marked as behind, with why."""
    query = "SELECT table_name, reason FROM ops.table_state WHERE is_stale"
    return dict(connection.execute(query).fetchall())


def mark_table(
    connection: duckdb.DuckDBPyConnection, name: str, fingerprint: str, stale_reason: str = ""
) -> None:
    """Say which view a table was built from, and why it is behind, if it is."""
    connection.execute("DELETE FROM ops.table_state WHERE table_name = ?", [name])
    connection.execute(
        "INSERT INTO ops.table_state VALUES (?, ?, ?, ?)",
        [name, fingerprint, bool(stale_reason), stale_reason],
    )


def announce_load(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, counts: Mapping[str, int | None]
) -> None:
    """Say what is about to be loaded: one row per export and type, also when it is repeated."""
    place = [incoming.export_id, incoming.resource_type]
    known = connection.execute(
        f"UPDATE ops.load SET {', '.join(f'{identifier(name)} = ?' for name in counts)}"
        " WHERE export_id = ? AND resource_type = ?",
        [*counts.values(), *place],
    ).fetchone()
    if not (known and known[0]):
        row = {
            "export_id": incoming.export_id,
            "connection_id": incoming.connection_id,
            "resource_type": incoming.resource_type,
            "transaction_time": incoming.transaction_time,
            "export_scope": incoming.export_scope,
            "is_restricted": incoming.is_restricted,
            **counts,
        }
        insert_rows(connection, "ops.load", [row])


def record_load(
    connection: duckdb.DuckDBPyConnection,
    incoming: Incoming,
    moved: Moved,
    loaded_at: datetime,
    load_seconds: float,
) -> None:
    """Say what the announced load changed; of a repeated one the first answer stays."""
    connection.execute(
        "UPDATE ops.load SET lines_superseded = $superseded,"
        " resources_changed = coalesce(resources_changed, $changed),"
        " resources_deleted = coalesce(resources_deleted, $deleted),"
        " loaded_at = coalesce(loaded_at, $loaded_at),"
        " load_seconds = coalesce(load_seconds, $seconds)"
        " WHERE export_id = $export_id AND resource_type = $resource_type",
        {
            "superseded": moved.lines_superseded,
            "changed": moved.resources_changed,
            "deleted": moved.resources_deleted,
            "loaded_at": loaded_at,
            "seconds": load_seconds,
            "export_id": incoming.export_id,
            "resource_type": incoming.resource_type,
        },
    )


def replace_quality(
    connection: duckdb.DuckDBPyConnection,
    incoming: Incoming,
    *,
    lines_sampled: int,
    lines_invalid: int | None,
    profile: Sequence[Mapping[str, Any]],
    findings: Sequence[Mapping[str, Any]],
) -> None:
    """Say of an announced load how its resources are made and which rules they break."""
    place = {"export_id": incoming.export_id, "resource_type": incoming.resource_type}
    for table, rows in (("ops.element_profile", profile), ("ops.validation", findings)):
        connection.execute(
            f"DELETE FROM {table} WHERE export_id = $export_id AND resource_type = $resource_type",
            place,
        )
        whole = [{**place, "connection_id": incoming.connection_id, **row} for row in rows]
        insert_many(connection, table, whole)
    connection.execute(
        "UPDATE ops.load SET lines_sampled = $sampled, lines_invalid = $invalid"
        " WHERE export_id = $export_id AND resource_type = $resource_type",
        {**place, "sampled": lines_sampled, "invalid": lines_invalid},
    )


def insert_many(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows at once: DuckDB takes half a millisecond for each that is bound by itself."""
    if rows:
        connection.register("new_rows", pyarrow.Table.from_pylist([dict(row) for row in rows]))
        connection.execute(f"INSERT INTO {table} BY NAME FROM new_rows")
        connection.unregister("new_rows")


def replace_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Let a small table hold exactly these rows."""
    connection.execute(f"DELETE FROM {table}")
    insert_rows(connection, table, rows)


def forget_files(
    connection: duckdb.DuckDBPyConnection, export_id: str, source_files: Sequence[str]
) -> None:
    """Drop what is said of an export's files, because it is about to be said again."""
    for table in ("ops.file", "ops.quarantine"):
        connection.execute(
            f"DELETE FROM {table} WHERE export_id = ? AND source_file IN"
            " (SELECT unnest(?::VARCHAR[]))",
            [export_id, list(source_files)],
        )


def insert_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows given as mappings of column to value."""
    if rows:
        names = list(rows[0])
        columns = ", ".join(map(identifier, names))
        marks = ", ".join("?" for _ in names)
        connection.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})",
            [[row[name] for name in names] for row in rows],
        )
