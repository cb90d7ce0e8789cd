"""Rows of the built-in tables, made as the pipeline makes them, from resources in memory."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.sql_on_fhir.keys import LINE_KEY
from ecw_pipeline.sql_on_fhir.running import screened_line
from ecw_pipeline.stages.tables import Table, all_tables

Row = dict[str, Any]
PIPELINES_OWN = ("connection_id", "export_id", "source_file", "source_line")
EXAMPLES = Path(__file__).parent / "examples"


@cache
def built_in_tables() -> dict[str, Table]:
    """Every built-in table by name."""
    return all_tables(None)


def main_table(name: str) -> str:
    """The main table of the type that a table is made from."""
    return snake_case(built_in_tables()[name].resource_type)


@cache
def example(main: str) -> Any:
    """The hand-made example of a type: ``resource``, and ``rows`` by table."""
    text = (EXAMPLES / f"{main}.json").read_text(encoding="utf-8")
    return json.loads(text, parse_float=Decimal)


@contextmanager
def screened_file(resources: Iterable[Mapping[str, Any]]) -> Iterator[Path]:
    """Resources of one type as a screened file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "00000.ndjson"
        lines = (screened_line({**r, LINE_KEY: n}) for n, r in enumerate(resources, 1))
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        yield path


def rows_of(name: str, path: Path, columns: str = "*") -> list[Row]:
    """The rows of a table over a screened file."""
    select = built_in_tables()[name].flat_select("practice", "export", "a file", path)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute(f"SELECT {columns} FROM ({select})")
        names = [item[0] for item in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def table_rows(name: str, *resources: Mapping[str, Any]) -> list[Row]:
    """The rows of a table over some resources, without nulls and the pipeline's own columns."""
    with screened_file(resources) as path:
        rows = rows_of(name, path)
    return [
        {column: plain(value) for column, value in row.items() if is_told(column, value)}
        for row in rows
    ]


def is_told(column: str, value: Any) -> bool:
    """Whether an expected row names this column."""
    return value is not None and column not in PIPELINES_OWN


def plain(value: Any) -> Any:
    """A value as JSON would hold it: moments in UTC, as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
