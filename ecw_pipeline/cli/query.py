"""`ecw sql`: ask the published warehouse."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecw_pipeline.errors import ConfigurationError, EcwError

if TYPE_CHECKING:
    import duckdb

_THROWN_AWAY = "\x18"
_ENDS = ("exit", "quit", "\\q")
_TABLES = (
    "SELECT schema_name || '.' || name AS table, comment FROM"
    " (SELECT schema_name, table_name AS name, comment FROM duckdb_tables() UNION ALL"
    " SELECT schema_name, view_name, comment FROM duckdb_views())"
    " WHERE schema_name IN ('core', 'marts') ORDER BY ALL"
)


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sql")(run)


def run(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="SQL; without it, a prompt, or what is piped in.")
    ] = "",
    output: Annotated[Format, typer.Option("--format", help="How to print rows.")] = Format.TABLE,
) -> None:
    """Ask the published warehouse; it is opened read-only.

    Example: ecw sql "select count(*) from core.patient"
    """
    from ecw_pipeline.settings import Settings

    path = Settings.from_environment().folder.warehouse
    if not path.exists():
        raise ConfigurationError(
            f"there is no warehouse at {path}", "fill it first: ecw export, or ecw demo"
        )
    if query:
        _ask(path, query, output)
    elif sys.stdin.isatty():
        _prompt(path, output)
    else:
        for statement in _statements(sys.stdin):
            _ask(path, statement, output)


def _ask(path: Path, query: str, output: Format) -> None:
    """Print the rows of each query in a text, as of the newest published state."""
    import duckdb

    from ecw_pipeline.warehouse.database import read_published, words_about_query

    try:
        with read_published(path) as connection:
            found = [_rows(connection, one) for one in connection.extract_statements(query)]
    except duckdb.Error as error:
        raise ConfigurationError(
            f"the query failed: {words_about_query(error)}",
            "correct it and run again; where a value does not fit a type, try_cast gives null",
        ) from error
    for columns, rows in found:
        _show(columns, rows, output)


def _rows(
    connection: "duckdb.DuckDBPyConnection", statement: "duckdb.Statement"
) -> tuple[list[str], list[tuple[Any, ...]]]:
    result = connection.execute(statement)
    if result is None or not result.description:
        raise ConfigurationError("the query asks for nothing", "write a SELECT")
    return [column[0] for column in result.description], result.fetchall()


def _show(columns: list[str], rows: list[tuple[Any, ...]], output: Format) -> None:
    from ecw_pipeline.cli.terminal import csv_lines, rows_as_json, show_rows

    if output is Format.TABLE:
        show_rows(columns, rows)
    elif output is Format.CSV:
        sys.stdout.writelines(csv_lines(columns, rows))
    else:
        typer.echo(rows_as_json(columns, rows))


def _prompt(path: Path, output: Format) -> None:
    """Ask again and again; an error ends no session. What is typed is kept nowhere."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  lets input() edit lines and recall them

    typer.echo("end a query with ; and the session with exit or Ctrl-D; \\d lists the tables")
    for statement in _statements(_typed_lines()):
        try:
            _ask(path, _TABLES if statement == "\\d" else statement, output)
        except EcwError as error:
            typer.echo(f"error: {error.message}\n  next: {error.next_step}", err=True)


def _typed_lines() -> Iterator[str]:
    prompt = "ecw> "
    while True:
        try:
            line = input(prompt)
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:  # the query that was begun is thrown away
            typer.echo()
            yield _THROWN_AWAY
            prompt = "ecw> "
            continue
        if prompt == "ecw> " and line.strip(" ;") in _ENDS:
            return
        yield line + "\n"
        prompt = "ecw> " if line.rstrip().endswith(";") or line.strip() == "\\d" else "...> "


def _statements(lines: Iterable[str]) -> Iterator[str]:
    """Queries that end with ``;`` at the end of a line, and what is left at the end."""
    begun = ""
    for line in lines:
        if line is _THROWN_AWAY:
            begun = ""
            continue
        begun += line
        if begun.rstrip().endswith(";") or begun.strip() == "\\d":
            yield begun.strip()
            begun = ""
    if begun.strip():
        yield begun.strip()
