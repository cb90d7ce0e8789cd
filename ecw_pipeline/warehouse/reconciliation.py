"""Whether the rows of a table are those they must be, judged by what `ops` knows."""

from dataclasses import dataclass

import duckdb

from ecw_pipeline.quoting import identifier
from ecw_pipeline.warehouse.folding import PLACE
from ecw_pipeline.warehouse.schema import WarehouseTable

_LIVE = "(FROM ops.resource_span WHERE valid_to IS NULL)"


@dataclass(frozen=True)
class Soundness:
    """Rows that should not be there: of one key more than one, and of no live resource."""

    repeated_rows: int
    stray_rows: int

    @property
    def is_sound(self) -> bool:
        return not (self.repeated_rows or self.stray_rows)


@dataclass(frozen=True)
class References:
    """How many references a table holds to types that are loaded, and how many lead nowhere."""

    references: int
    unresolved: int

    @property
    def unresolved_share(self) -> float:
        return self.unresolved / self.references if self.references else 0.0


def soundness(connection: duckdb.DuckDBPyConnection, table: WarehouseTable) -> Soundness:
    """Judge a table of `core`; only rows that a key tells apart can repeat."""
    repeated = 0
    if table.row_key:
        key = ", ".join(map(identifier, table.row_key))
        repeated = _count(
            connection,
            f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM {table.core_name}"
            f" GROUP BY {key} HAVING n > 1)",
        )
    stray = _count(
        connection,
        f"SELECT count(*) FROM {table.core_name} ANTI JOIN {_LIVE} USING ({', '.join(PLACE)})",
    )
    return Soundness(repeated, stray)


def references(connection: duckdb.DuckDBPyConnection, table: WarehouseTable) -> References:
    """Follow a table's references; one to a type that was never loaded says nothing."""
    referred = " UNION ALL ".join(
        f"SELECT connection_id, {kind} AS resource_type, {identifier(name)} AS resource_id"
        f" FROM {table.core_name} WHERE {identifier(name)} IS NOT NULL"
        for name, kind in table.references.items()
    )
    # The key of a resource is as `Incoming.key_of` makes it.
    row = connection.execute(
        f"""
        WITH referred AS (
            SELECT md5_number(connection_id || '/' || resource_type || '/' || resource_id)
                AS resource_key, count(*) AS times
            FROM ({referred})
            SEMI JOIN ops.load USING (connection_id, resource_type)
            GROUP BY ALL
        )
        SELECT coalesce(sum(times), 0),
               coalesce(sum(times) FILTER (l.resource_key IS NULL), 0)
        FROM referred LEFT JOIN {_LIVE} AS l USING (resource_key)
        """
    ).fetchone()
    found, unresolved = row or (0, 0)
    return References(int(found), int(unresolved))


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
