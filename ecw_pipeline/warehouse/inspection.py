"""Facts about the published warehouse, for checks and people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ecw_pipeline.quoting import identifier


@dataclass(frozen=True)
class TableFacts:
    """How many rows a table has, how many resources of its type live, and why it is behind."""

    rows: int
    live_resources: int
    stale_reason: str


@dataclass(frozen=True)
class TypeFacts:
    """What a connection has of a type: living resources, as of when, and lines refused so far.

    ``data_as_of`` is the server's clock at the newest export of all of the type.
    """

    connection_id: str
    resource_type: str
    resources: int
    data_as_of: datetime | None
    last_loaded_at: datetime | None
    lines_quarantined: int


def type_facts(connection: duckdb.DuckDBPyConnection) -> list[TypeFacts]:
    """Every type that was ever loaded, by connection."""
    rows = connection.execute(
        """
        WITH living AS (
            SELECT connection_id, resource_type, count(*) AS resources
            FROM ops.resource_span WHERE valid_to IS NULL GROUP BY ALL)
        SELECT connection_id, resource_type, coalesce(any_value(resources), 0),
               max(transaction_time) FILTER (NOT is_restricted), max(loaded_at),
               coalesce(sum(lines_quarantined), 0)::BIGINT
        FROM ops.load LEFT JOIN living USING (connection_id, resource_type)
        GROUP BY connection_id, resource_type ORDER BY ALL
        """
    ).fetchall()
    return [TypeFacts(*row) for row in rows]


def table_facts(connection: duckdb.DuckDBPyConnection, name: str, resource_type: str) -> TableFacts:
    """Count a table's rows, none where it could never be built, and its type's live resources."""
    is_built = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'core' AND table_name = ?", [name]
    ).fetchone()
    rows = None
    if is_built and is_built[0]:
        rows = connection.execute(f"SELECT count(*) FROM core.{identifier(name)}").fetchone()
    live = connection.execute(
        "SELECT count(*) FROM ops.resource_span WHERE valid_to IS NULL AND resource_type = ?",
        [resource_type],
    ).fetchone()
    stale = connection.execute(
        "SELECT reason FROM ops.table_state WHERE is_stale AND table_name = ?", [name]
    ).fetchone()
    return TableFacts(
        int(rows[0]) if rows else 0, int(live[0]) if live else 0, str(stale[0]) if stale else ""
    )


def rows_per_table(connection: duckdb.DuckDBPyConnection, schemas: Sequence[str]) -> dict[str, int]:
    """How many rows each table of some schemas has, counted: DuckDB's own estimate keeps deleted
    rows in.
    """
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables()"
        " WHERE schema_name IN (SELECT unnest(?::VARCHAR[])) ORDER BY ALL",
        [list(schemas)],
    ).fetchall()
    counts: dict[str, int] = {}
    for schema, name in tables:
        row = connection.execute(f"SELECT count(*) FROM {identifier(schema)}.{identifier(name)}")
        ((counts[f"{schema}.{name}"],),) = row.fetchall()
    return counts
