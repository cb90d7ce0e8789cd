"""`ecw view run`: a view's rows over NDJSON files, as a table, CSV, NDJSON or Parquet."""

import sys
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecw_pipeline.errors import BadDataError, ConfigurationError

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.compiler import CompiledView
    from ecw_pipeline.stages.view_runs import FileRun, ViewRun

TABLE_ROWS = 50
WIDE_TABLE_ROWS = 2
_CELL_CHARACTERS = 60
_BORDER_CHARACTERS = 3


class Format(StrEnum):
    """How rows are given."""

    TABLE = "table"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


def run(
    view: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A view.")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, metavar="NDJSON", help="Resources; .gz is unpacked."
        ),
    ],
    output_format: Annotated[
        Format | None,
        typer.Option("--format", help="By default as the output's name says, or a table."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write rows here, not to the terminal.")
    ] = None,
) -> None:
    """Show the rows that a view gives over files as a server sent them.

    Resources of other types are passed over. Lines that the pipeline would
    put into quarantine are named and left out, and the exit code is 6.

    Example: ecw view run my_view.json Patient.ndjson.gz --output rows.csv
    """
    from ecw_pipeline.stages.view_runs import run_over_files

    chosen = _chosen(output_format, output)
    compiled_view = compiled(view)
    with tempfile.TemporaryDirectory() as scratch:
        whole = output if output and chosen is Format.PARQUET else Path(scratch) / "rows.parquet"
        ran = run_over_files(compiled_view, files, whole)
        _show(compiled_view, ran, whole, chosen, output)
    _tell_of_lines(ran)


def compiled(file: Path, *, with_keys: bool = False) -> "CompiledView":
    """Compile a view file; warnings go to standard error."""
    from ecw_pipeline.sql_on_fhir.compiler import compile_view
    from ecw_pipeline.sql_on_fhir.view_file import read_view_file

    view = compile_view(read_view_file(file), with_keys=with_keys)
    for warning in view.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return view


def _chosen(asked: Format | None, output: Path | None) -> Format:
    """The asked-for format, or the one the output's name ends in, where rows can go there.

    Raises:
        ConfigurationError: bytes would go to a terminal, or a table into a file.
    """
    ending = output.suffix.removeprefix(".") if output else ""
    chosen = asked or (Format(ending) if ending in set(Format) else Format.TABLE)
    if chosen is Format.PARQUET and output is None:
        raise ConfigurationError("Parquet is not for a terminal", "add --output FILE.parquet")
    if output and chosen is Format.TABLE:
        raise ConfigurationError(
            f"a table is not for a file, and the name {output} tells of no other form",
            "add --format csv, ndjson or parquet",
        )
    return chosen


def _show(
    view: "CompiledView", ran: "ViewRun", parquet: Path, chosen: Format, output: Path | None
) -> None:
    from ecw_pipeline.files import finished_file

    if chosen is Format.TABLE:
        _show_table(view, ran, parquet)
    elif output is None:
        sys.stdout.writelines(_lines(view, parquet, chosen))
    elif chosen is not Format.PARQUET:
        with finished_file(output) as stream:
            stream.writelines(line.encode() for line in _lines(view, parquet, chosen))
    if output:
        typer.echo(f"{ran.rows_written} rows: {output}", err=True)


def _show_table(view: "CompiledView", ran: "ViewRun", parquet: Path) -> None:
    """The first rows, in columns where these fit beside each other, else one above the other."""
    from ecw_pipeline.cli.terminal import console, show_rows
    from ecw_pipeline.stages.view_runs import rows_of

    names = [column.name for column in view.columns]
    width = sum(len(name) + _BORDER_CHARACTERS for name in names)
    is_wide = console.is_terminal and width > console.width
    shown = list(islice(rows_of(parquet), WIDE_TABLE_ROWS if is_wide else TABLE_ROWS))
    rows = [[_shortened(value) for value in row] for row in shown]
    if is_wide:
        numbered = [f"row {n}" for n, _ in enumerate(rows, 1)]
        show_rows(["column", *numbered], list(zip(names, *rows, strict=True)))
    else:
        show_rows(names, rows)
    more = ran.rows_written - len(shown)
    hint = f", {more} more not shown: add --format csv, or --output FILE" if more else ""
    typer.echo(f"{ran.rows_written} rows{hint}")


def _shortened(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > _CELL_CHARACTERS
    return value[: _CELL_CHARACTERS - 1] + "…" if is_long else value


def _lines(view: "CompiledView", parquet: Path, chosen: Format) -> Iterator[str]:
    from ecw_pipeline.cli.terminal import csv_lines, ndjson_lines
    from ecw_pipeline.stages.view_runs import rows_of

    columns = [column.name for column in view.columns]
    if chosen is Format.CSV:
        return csv_lines(columns, rows_of(parquet))
    in_json = {c.name for c in view.columns if c.is_exact_decimal or c.sql_type.startswith("JSON")}
    return ndjson_lines(columns, rows_of(parquet), in_json)


def _tell_of_lines(ran: "ViewRun") -> None:
    """Say on standard error what gave no rows.

    Raises:
        BadDataError: lines were refused.
    """
    for file in ran.files:
        _tell_of_file(file)
    refused = sum(file.lines_refused for file in ran.files)
    if refused:
        received = sum(file.lines_received for file in ran.files)
        raise BadDataError(
            f"{refused} of {received} lines were refused; the rows are those of the others",
            "mend these lines, or ask the server for them again",
        )


def _tell_of_file(file: "FileRun") -> None:
    from ecw_pipeline.landing.rules import REASONS

    others = file.lines_of_other_types
    if others:
        of_all = f"{others} of {file.lines_received} lines"
        typer.echo(f"{file.path}: {of_all} hold resources of other types: passed over", err=True)
    for line in file.examples:
        place = f" ({line['detail']})" if line["detail"] else ""
        reason = REASONS[line["reason"]]
        typer.echo(f"{file.path}, line {line['source_line']}: {reason}{place}", err=True)
    if unnamed := file.lines_refused - len(file.examples):
        typer.echo(f"{file.path}: {unnamed} more lines refused", err=True)
