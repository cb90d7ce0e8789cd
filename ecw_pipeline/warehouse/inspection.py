"""Facts about the published warehouse, for checks and people."""

from dataclasses import dataclass

import duckdb

from ecw_pipeline.warehouse.schema import WarehouseTable


@dataclass(frozen=True)
class TableFacts:
    """How many rows a table has, and how many resources of its type are live."""

    rows: int
    live_resources: int


def table_facts(connection: duckdb.DuckDBPyConnection, table: WarehouseTable) -> TableFacts:
    """Count a table's rows and the live resources of its type."""
    rows = connection.execute(f"SELECT count(*) FROM {table.core_name}").fetchone()
    live = connection.execute(
        "SELECT count(*) FROM ops.resource_current WHERE resource_type = ?", [table.resource_type]
    ).fetchone()
    return TableFacts(int(rows[0]) if rows else 0, int(live[0]) if live else 0)
