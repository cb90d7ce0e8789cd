"""What building each mart costs, in CPU seconds, beside a million Observations.

    ecw demo && python -m benchmarks.marts --warehouse data/warehouse.duckdb --folder F

The demo's practice is repeated under other ids until there are that many Observations, so that
every table keeps its proportion.
"""

import argparse
import time
from dataclasses import astuple
from pathlib import Path

import duckdb

from ecw_pipeline.marts.catalog import built_in_marts, built_in_rules
from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.warehouse.mart_runner import build_mart, write_rules

NOT_REPEATED = ("connection_id", "export_id")


def main() -> None:
    arguments = parsed_arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "practice.duckdb"
    is_new = not path.exists()
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if is_new:
            repeat_practice(connection, arguments.warehouse, arguments.observations)
        for name in ("patient", "observation", "encounter"):
            print(f"{count(connection, f'core.{name}'):,} of {name}")
        write_rules(connection, [astuple(rule) for rule in built_in_rules()])
        for name, mart in built_in_marts().items():
            started, cpu = time.monotonic(), time.process_time()
            rows = build_mart(connection, name, mart.question, mart.sql)
            seconds = time.monotonic() - started
            print(
                f"{name:32} {time.process_time() - cpu:6.2f} CPU-s {seconds:6.2f} s {rows:9,} rows"
            )


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warehouse", type=Path, required=True, help="a published one")
    parser.add_argument("--folder", type=Path, required=True, help="kept, to be used again")
    parser.add_argument("--observations", type=int, default=1_000_000)
    return parser.parse_args()


def repeat_practice(
    connection: duckdb.DuckDBPyConnection, warehouse: Path, observations: int
) -> None:
    """Copy a warehouse, its tables of `core` and `history` as often as needed."""
    connection.execute(f"ATTACH {literal(str(warehouse))} AS small (READ_ONLY)")
    times = -(-observations // count(connection, "small.core.observation"))
    for schema in ("core", "history", "ops", "marts"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables()"
        " WHERE database_name = 'small' AND schema_name IN ('core', 'history', 'ops') ORDER BY ALL"
    ).fetchall()
    for schema, name in tables:
        table = f"{schema}.{identifier(name)}"
        is_repeated = schema in ("core", "history")
        ids = id_columns(connection, schema, name) if is_repeated else []
        replaced = ", ".join(f"{one} || '-' || n AS {one}" for one in map(identifier, ids))
        columns = f"small.* REPLACE ({replaced})" if replaced else "small.*"
        copies = times if is_repeated else 1
        connection.execute(
            f"CREATE TABLE {table} AS"
            f" SELECT {columns} FROM small.{table} AS small, range({copies}) AS copy(n)"
        )
    connection.execute("CHECKPOINT")


def id_columns(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> list[str]:
    """The columns that name a resource."""
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'small'"
        " AND schema_name = ? AND table_name = ? AND data_type = 'VARCHAR'"
        " AND ends_with(column_name, '_id')",
        [schema, name],
    ).fetchall()
    return [column for (column,) in rows if column not in NOT_REPEATED]


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found[0]) if found else 0


if __name__ == "__main__":
    main()
