"""The report's page: every plot with its picture and, below it, its numbers."""

from datetime import UTC, datetime
from html import escape
from importlib import resources as package_files
from pathlib import Path
from string import Template

import duckdb

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.files import finished_file
from ecw_pipeline.report.drawing import draw, in_words
from ecw_pipeline.report.plots import PLOTS, Plot, Rows, answer
from ecw_pipeline.warehouse.database import read_published


def write_report(warehouse: Path, target: Path, at: datetime) -> list[str]:
    """Write the page for the published warehouse; returns the titles of the plots with numbers.

    Raises:
        ConfigurationError: there is no warehouse.
        MachineError: the page cannot be written.
    """
    if not warehouse.exists():
        raise ConfigurationError(
            f"there is no warehouse at {warehouse}", "fill it first: ecw export, or ecw demo"
        )
    with read_published(warehouse) as connection:
        answers = [(plot, answer(connection, plot)) for plot in PLOTS]
        about = _about(connection)
    template = package_files.files(__package__).joinpath("page.html").read_text("utf-8")
    page = Template(template).substitute(
        about=escape(about),
        written_at=_minute(at),
        sections="\n".join(_section(plot, found) for plot, found in answers),
    )
    with finished_file(target) as stream:
        stream.write(page.encode())
    return [plot.title for plot, found in answers if not isinstance(found, str)]


def _about(connection: duckdb.DuckDBPyConnection) -> str:
    """Whose data it is and up to when."""
    found = connection.execute(
        "SELECT string_agg(DISTINCT connection_id, ', ' ORDER BY connection_id),"
        " max(transaction_time) FROM ops.load"
    ).fetchone()
    names, newest = found or (None, None)
    if newest is None:
        return "nothing has been loaded yet"
    return f"{names}, data up to {_minute(newest)}"


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _section(plot: Plot, found: Rows | str) -> str:
    heading = f"<h2>{escape(plot.title)}</h2><p>{escape(plot.caption)}</p>"
    if isinstance(found, str):
        return f'<section>{heading}<p class="none">{escape(found)}</p></section>'
    return (
        f"<section>{heading}{draw(plot, found)}"
        f"<details><summary>numbers</summary>{_table(plot, found)}</details></section>"
    )


def _table(plot: Plot, rows: Rows) -> str:
    first_number = len(plot.heads) - 1 if plot.kind == "lines" else 1
    lines = [f"<tr>{''.join(f'<th>{escape(head)}</th>' for head in plot.heads)}</tr>"]
    for row in rows:
        names = [f"<td>{escape(str(name))}</td>" for name in row[:first_number]]
        numbers = [
            f'<td class="number">{in_words(value, plot.unit)}</td>' for value in row[first_number:]
        ]
        lines.append(f"<tr>{''.join(names + numbers)}</tr>")
    return f"<table>{''.join(lines)}</table>"
