"""The `ops` tables that say what was asked for, received, refused and loaded."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb

from ecw_pipeline.quoting import identifier
from ecw_pipeline.warehouse.merge import Incoming, Moved
from ecw_pipeline.warehouse.schema import WarehouseTable


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


def drop_tables_but(connection: duckdb.DuckDBPyConnection, names: set[str]) -> bool:
    """Drop the tables whose view is gone; whether there were any."""
    rows = connection.execute("SELECT table_name FROM ops.table_state").fetchall()
    gone = [name for (name,) in rows if name not in names]
    for name in gone:
        connection.execute(f"DROP TABLE IF EXISTS core.{identifier(name)}")
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


def record_load(
    connection: duckdb.DuckDBPyConnection,
    incoming: Incoming,
    counts: Mapping[str, int | None],
    moved: Moved,
    loaded_at: datetime,
    load_seconds: float,
) -> None:
    """One row per export and type; a repeated load only corrects how many lines it read."""
    lines = {**counts, "lines_superseded": moved.lines_superseded}
    known = connection.execute(
        f"UPDATE ops.load SET {', '.join(f'{identifier(name)} = ?' for name in lines)}"
        " WHERE export_id = ? AND resource_type = ?",
        [*lines.values(), incoming.export_id, incoming.resource_type],
    ).fetchone()
    if known and known[0]:
        return
    row = {
        "export_id": incoming.export_id,
        "connection_id": incoming.connection_id,
        "resource_type": incoming.resource_type,
        "transaction_time": incoming.transaction_time,
        **lines,
        "resources_changed": moved.resources_changed,
        "resources_deleted": moved.resources_deleted,
        "loaded_at": loaded_at,
        "load_seconds": load_seconds,
    }
    insert_rows(connection, "ops.load", [row])


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
