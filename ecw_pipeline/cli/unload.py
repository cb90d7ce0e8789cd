"""`ecw unload`: the tables as Parquet files for other tools."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("unload")(run)


def run(
    parquet: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")],
    table: Annotated[
        list[str] | None,
        typer.Option(help="Only this table, such as observation or history.task; repeatable."),
    ] = None,
) -> None:
    """Write the published tables to Parquet: a folder per table, all of the same moment.

    The folder is replaced when the new one is whole. It holds patients' data: mind who can read it.
    Example: ecw unload --parquet out --table observation
    """
    from ecw_pipeline.cli.terminal import console, progress
    from ecw_pipeline.settings import Settings
    from ecw_pipeline.stages.unloading import CONTENTS, unload

    folder = Settings.from_environment().folder
    with progress("unload") as step:
        written = unload(folder.warehouse, parquet.absolute(), table or (), step)
    rows = sum(one.rows for one in written)
    words = f"{len(written)} tables, {rows:,} rows: {parquet / CONTENTS}"
    console.print(words)
