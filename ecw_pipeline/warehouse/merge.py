"""Load: fold what an export brought into `core` and `history`, in any order of exports.

`versions.py` records what came, `spans.py` and `folding.py` say what it amounts to; here rows
follow. A row is found by its place, the received line that it was read from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.warehouse.folding import PLACE
from ecw_pipeline.warehouse.schema import WarehouseTable
from ecw_pipeline.warehouse.spans import move_spans
from ecw_pipeline.warehouse.versions import Incoming, record_versions

_PERIOD = "valid_from, valid_to, closed_by"
_BITMAP_BITS = 1 << 20
# Where DuckDB keeps the order of rows, each part that a thread inserts ends in a row group of its
# own, nearly empty; the next checkpoints merge them, which wrote most of ten million rows again.
_FULL_ROW_GROUPS = "SET preserve_insertion_order = false"


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
    connection.execute(_FULL_ROW_GROUPS)
    record_versions(connection, incoming)
    move_spans(connection, incoming)
    _pair_places(connection)
    found = connection.execute("SELECT DISTINCT export_id FROM moved WHERE is_read").fetchall()
    for table, files in flat_files:
        paths = [files[export_id] for (export_id,) in found if export_id in files]
        _move_rows(connection, table, paths)
    return _count(connection)


def refold_table(
    connection: duckdb.DuckDBPyConnection, table: WarehouseTable, paths: Sequence[Path]
) -> None:
    """Build one table anew, current and closed rows, from all its flat files, in a transaction."""
    connection.execute(_FULL_ROW_GROUPS)
    connection.execute(";\n".join(table.ddl()))
    if paths:
        spans = "(FROM ops.resource_span WHERE valid_to IS {}NULL)"
        connection.execute(
            f"INSERT INTO {table.core_name} BY NAME SELECT f.* FROM {_parquet(paths)} AS f"
            f" SEMI JOIN {spans.format('')} AS s ON {_same_place('s', 'f')}"
        )
        connection.execute(
            f"INSERT INTO {table.history_name} BY NAME SELECT f.*, {_PERIOD}"
            f" FROM {_parquet(paths)} AS f JOIN {spans.format('NOT ')} AS s"
            f" ON {_same_place('s', 'f')}"
        )


def _pair_places(connection: duckdb.DuckDBPyConnection) -> None:
    """Say of each place in which schema its rows were, and in which they belong now."""
    where = "CASE WHEN {0}.resource_key IS NULL THEN NULL WHEN {0}.valid_to IS NULL THEN 'core'"
    where += " ELSE 'history' END"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE moved AS
        SELECT {", ".join(PLACE)}, coalesce(b.resource_key, e.resource_key) AS resource_key,
               b.valid_from, b.valid_to, b.closed_by,
               {where.format("e")} AS was_in, {where.format("b")} AS is_in,
               is_in IS NOT NULL AND was_in IS DISTINCT FROM 'core' AS is_read
        FROM begun AS b FULL JOIN ended AS e USING ({", ".join(PLACE)})
        """
    )


def _move_rows(
    connection: duckdb.DuckDBPyConnection, table: WarehouseTable, paths: Sequence[Path]
) -> None:
    core, history = table.core_name, table.history_name
    _take_from_core(connection, table)
    connection.execute(
        f"DELETE FROM {history} AS t USING moved AS m"
        f" WHERE {_same_place('m', 't')} AND m.was_in = 'history'"
    )
    if paths:
        there = f"FROM {_parquet(paths)} AS f JOIN moved AS m ON {_same_place('m', 'f')}"
        connection.execute(
            f"INSERT INTO {core} BY NAME SELECT f.* {there} WHERE m.is_read AND m.is_in = 'core'"
        )
        connection.execute(
            f"INSERT INTO {history} BY NAME SELECT f.*, {_PERIOD} {there}"
            " WHERE m.is_read AND m.is_in = 'history'"
        )


def _take_from_core(connection: duckdb.DuckDBPyConnection, table: WarehouseTable) -> None:
    """Delete the rows that are current no more, after copying to history those that are closed.

    Their row numbers are found first. A join alone would decompress every column of all rows; a
    condition on the row number is applied before other columns are read. The bitmap lets through
    one row too many in a few, and stays small because DuckDB copies it for each vector.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE leaving AS SELECT t.rowid AS leaving_row, is_in, {_PERIOD}"
        f" FROM {table.core_name} AS t JOIN moved AS m ON {_same_place('m', 't')}"
        " WHERE m.was_in = 'core' AND m.is_in IS DISTINCT FROM 'core'"
    )
    if not connection.execute("FROM leaving LIMIT 1").fetchone():
        return
    filled = ", ".join(f"t.{identifier(name)}" for name in _filled_columns(connection, table))
    bit = f"({{}} & {_BITMAP_BITS - 1})::INTEGER"
    connection.execute(
        "SET VARIABLE leaving_bits = (SELECT"
        f" bitstring_agg({bit.format('leaving_row')}, 0, {_BITMAP_BITS - 1}) FROM leaving)"
    )
    connection.execute(
        f"INSERT INTO {table.history_name} BY NAME SELECT {filled}, {_PERIOD}"
        f" FROM {table.core_name} AS t JOIN leaving ON leaving_row = t.rowid"
        f" WHERE is_in = 'history'"
        f" AND get_bit(getvariable('leaving_bits'), {bit.format('t.rowid')}) = 1"
    )
    connection.execute(
        f"DELETE FROM {table.core_name} WHERE rowid IN (SELECT leaving_row FROM leaving)"
    )


def _filled_columns(connection: duckdb.DuckDBPyConnection, table: WarehouseTable) -> list[str]:
    """The columns of which DuckDB's statistics do not say that they hold nothing but NULL.

    Most columns of a wide table are empty at most practices; to scan them costs more than to scan
    the others. Of a list the statistics speak twice: first of what is in it.
    """
    names = [column.name for column in table.columns]
    is_empty = "ends_with(split_part(stats({}), '[Approx', 1), 'Has No Null: false]')".format
    found = connection.execute(
        f"SELECT {', '.join('NOT ' + is_empty(identifier(name)) for name in names)}"
        f" FROM {table.core_name} LIMIT 1"
    ).fetchone()
    return [name for name, is_filled in zip(names, found or names, strict=True) if is_filled]


def _count(connection: duckdb.DuckDBPyConnection) -> Moved:
    row = connection.execute(
        """
        WITH resources AS (
            SELECT resource_key, bool_or(is_in = 'core') AS is_live,
                   bool_or(is_in = 'core' AND was_in IS DISTINCT FROM 'core') AS is_other,
                   bool_or(was_in = 'core') AS was_live
            FROM moved GROUP BY resource_key)
        SELECT count(*) FILTER (is_other),
               count(*) FILTER (was_live AND is_live IS DISTINCT FROM true)
        FROM resources
        """
    ).fetchone()
    repeats = connection.execute(
        "SELECT count(*) - count(DISTINCT resource_key) FROM received WHERE NOT is_deleted"
    ).fetchone()
    changed, deleted = row or (0, 0)
    return Moved(int(changed), int(deleted), int(repeats[0]) if repeats else 0)


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"


def _same_place(left: str, right: str) -> str:
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in PLACE)
