"""What the commands print with: tables and progress on a terminal, plain lines elsewhere."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import date, datetime
from itertools import chain
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

console = Console(highlight=False, soft_wrap=True)

# Wider than any table, so that no line of a pipe is folded.
_ENDLESS = 100_000
_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")

Rows = Sequence[Sequence[Any]]
Step = Callable[[str, int, int], None]


def show_rows(columns: Sequence[str], rows: Rows, title: str = "") -> None:
    """Print rows as a table: boxes on a terminal, columns of plain text elsewhere."""
    if title:
        console.print(f"[bold]{escape(title)}[/bold]")
    if console.is_terminal:
        console.print(_fill(Table(header_style="bold"), columns, rows), soft_wrap=False)
        return
    aligned = Console(file=io.StringIO(), width=_ENDLESS)
    with aligned.capture() as captured:
        aligned.print(_fill(Table(box=None, pad_edge=False), columns, rows))
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def _fill(table: Table, columns: Sequence[str], rows: Rows) -> Table:
    for index, name in enumerate(columns):
        is_number = any(isinstance(row[index], int | float) for row in rows)
        table.add_column(escape(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row))
    return table


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Rows as CSV with a header; nothing of a value is lost, lists are JSON."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in chain([columns], rows):
        writer.writerow([value if isinstance(value, str) else _exact(value) for value in row])
        yield stream.getvalue()
        stream.seek(0)
        stream.truncate()


def ndjson_lines(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], in_json: Set[str]
) -> Iterator[str]:
    """Rows as one JSON object a line; values of columns ``in_json`` are JSON text already."""
    for row in rows:
        named = zip(columns, row, strict=True)
        yield _encode({n: _raw(value) if n in in_json else value for n, value in named}) + "\n"


def _raw(value: Any) -> Any:
    """JSON text as it stands, digit by digit; what is none stays a text."""
    if isinstance(value, list):
        return [_raw(item) for item in value]
    try:
        msgspec.json.decode(value or "null")
    except msgspec.DecodeError:
        return value
    return msgspec.Raw((value or "null").encode())


def _exact(value: Any) -> str:
    return "" if value is None else _encode(value).strip('"')


def _encode(value: Any) -> str:
    return _ENCODER.encode(value).decode()


def rows_as_json(columns: Sequence[str], rows: Rows) -> str:
    """Rows as a JSON array of objects."""
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    return json.dumps(objects, default=str, indent=2, ensure_ascii=False)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value.isoformat() if isinstance(value, date) else str(value)


class _RateColumn(ProgressColumn):
    """How many pieces a second, or a minute where they are long; nothing before it is known."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.0f}/s" if speed >= 1 else f"{speed * 60:.0f}/min")


@contextmanager
def progress(title: str) -> Iterator[Step]:
    """A function that shows how far named pieces of work are: bars, or lines where piped."""
    if not console.is_terminal:
        yield _plain_progress(title)
        return
    done = TextColumn("{task.completed:g}/{task.total:g}")
    left = (TimeRemainingColumn(compact=True), TextColumn("left"))
    times = (_RateColumn(), TimeElapsedColumn(), *left)
    named = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*named, done, *times, console=console) as bars:
        tasks: dict[str, Any] = {}

        def step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(f"{title}: {name}", total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield step


def _plain_progress(title: str) -> Step:
    """Lines for logs: each piece of work when it starts, half way and when it is done."""
    said: dict[str, int] = {}

    def step(name: str, done: int, total: int) -> None:
        half = 2 * done // max(total, 1)
        if said.get(name) != half:
            said[name] = half
            console.print(f"{title}: {name} {done}/{total}")

    return step
