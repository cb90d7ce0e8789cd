"""A warehouse with every built-in table and mart, and no row."""

from dataclasses import astuple
from pathlib import Path

from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.marts.codes import code_lists
from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline.warehouse import attachments
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline.warehouse.mart_runner import build_mart, write_code_lists


def empty_warehouse(path: Path) -> None:
    """Make it."""
    with working_warehouse(path) as connection:
        for table in all_tables(None).values():
            for statement in table.in_warehouse.ddl():
                connection.execute(statement)
        write_code_lists(connection, [astuple(code) for code in code_lists(None)])
        attachments.define_view(connection)
        for mart in built_in_marts().values():
            build_mart(connection, mart.name, mart.question, mart.sql)
