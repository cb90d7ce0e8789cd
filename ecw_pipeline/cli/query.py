"""`ecw sql`: ask the published warehouse."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from ecw_pipeline.errors import ConfigurationError


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sql")(run)


def run(
    query: Annotated[str, typer.Argument(help="One SQL query.")],
    output: Annotated[Format, typer.Option("--format", help="How to print rows.")] = Format.TABLE,
) -> None:
    """Ask the published warehouse; it is opened read-only.

    Example: ecw sql "select count(*) from core.patient"
    """
    import duckdb

    from ecw_pipeline.cli.terminal import csv_lines, rows_as_json, show_rows
    from ecw_pipeline.settings import Settings
    from ecw_pipeline.warehouse.database import read_published

    path = Settings.from_environment().folder.warehouse
    if not path.exists():
        raise ConfigurationError(
            f"there is no warehouse at {path}", "fill it first: ecw export, or ecw demo"
        )
    try:
        with read_published(path) as connection:
            result = connection.execute(query)
            if result is None or not result.description:
                raise ConfigurationError("the query asks for nothing", "write a SELECT")
            columns = [column[0] for column in result.description]
            rows = result.fetchall()
    except duckdb.Error as error:
        raise ConfigurationError(f"the query failed: {error}", "correct it and run again") from None
    if output is Format.TABLE:
        show_rows(columns, rows)
    elif output is Format.CSV:
        sys.stdout.writelines(csv_lines(columns, rows))
    else:
        typer.echo(rows_as_json(columns, rows))
