"""A small warehouse to fill by hand and ask with a mart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import duckdb

from ecw_pipeline.marts.catalog import built_in_marts, built_in_rules
from ecw_pipeline.marts.codes import code_lists
from ecw_pipeline.quoting import identifier
from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline.warehouse.mart_runner import build_mart, write_code_lists, write_rules

PRACTICE = "practice"
EXPORTED_AT = "2024-03-01T00:00:00Z"


@dataclass(frozen=True)
class Warehouse:
    """An open working warehouse."""

    connection: duckdb.DuckDBPyConnection

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """Add rows; columns that are not named are null, the connection is `PRACTICE`."""
        for row in rows:
            filled = {"connection_id": PRACTICE, **row}
            columns = ", ".join(map(identifier, filled))
            marks = ", ".join("?" * len(filled))
            self.connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(filled.values())
            )

    def exported(self, resource_type: str, at: str = EXPORTED_AT) -> None:
        """Say that an export of a type was loaded, which is true as of ``at``."""
        load = {"export_id": "x1", "resource_type": resource_type, "transaction_time": at}
        self.add("ops.load", load)

    def mart(self, name: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Build a mart and give its rows, in its own order."""
        mart = built_in_marts()[name]
        build_mart(self.connection, mart.name, mart.question, mart.sql, mart.meanings)
        return self.connection.execute(f"SELECT {columns} FROM marts.{mart.name}").fetchall()


@contextmanager
def empty_warehouse(folder: Path) -> Iterator[Warehouse]:
    """A working warehouse with every built-in table, made from the views alone."""
    with working_warehouse(folder / "working.duckdb") as connection:
        for table in all_tables(None).values():
            for statement in table.in_warehouse.bare_ddl():
                connection.execute(statement)
        write_code_lists(connection, [astuple(code) for code in code_lists(None)])
        write_rules(connection, [astuple(rule) for rule in built_in_rules()])
        yield Warehouse(connection)
