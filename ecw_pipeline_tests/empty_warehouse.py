"""Warehouses with every built-in table and no row."""

import tempfile
from dataclasses import astuple
from functools import cache
from pathlib import Path

from ecw_pipeline.marts.catalog import built_in_marts, built_in_rules
from ecw_pipeline.marts.codes import code_lists
from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline.warehouse import attachments, bookkeeping
from ecw_pipeline.warehouse.database import transaction, working_warehouse
from ecw_pipeline.warehouse.mart_runner import build_mart, write_code_lists, write_rules
from ecw_pipeline.warehouse.merge import refold_table


def empty_warehouse(path: Path) -> None:
    """Make one for readers, with every mart."""
    with working_warehouse(path) as connection:
        for table in all_tables(None).values():
            for statement in table.in_warehouse.ddl():
                connection.execute(statement)
        write_code_lists(connection, [astuple(code) for code in code_lists(None)])
        write_rules(connection, [astuple(rule) for rule in built_in_rules()])
        attachments.define_view(connection)
        for mart in built_in_marts().values():
            build_mart(connection, mart.name, mart.question, mart.sql, mart.meanings)


@cache
def working_warehouse_before_any_load() -> bytes:
    """The file a load finds whose views are all built in and have been seen: made once a process.

    To make its tables takes longer than most tests that load something.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "working.duckdb"
        with working_warehouse(path) as connection, transaction(connection):
            for table in all_tables(None).values():
                refold_table(connection, table.in_warehouse, [])
                bookkeeping.mark_table(connection, table.name, table.fingerprint)
        return path.read_bytes()
