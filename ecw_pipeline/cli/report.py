"""`ecw report`: the practice in plots, on one page."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(run)


def run(
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; else report.html in ECW_DATA.")
    ] = None,
) -> None:
    """Write one HTML page with plots of the practice: volume, freshness, people, rates.

    It needs no network to be opened. Example: ecw report --output today.html
    """
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.clock import SystemClock
    from ecw_pipeline.report.page import write_report
    from ecw_pipeline.report.plots import PLOTS
    from ecw_pipeline.settings import Settings

    folder = Settings.from_environment().folder
    target = (output or folder.report).absolute()
    drawn = write_report(folder.warehouse, target, SystemClock().now())
    console.print(
        f"{target}: {len(drawn)} of {len(PLOTS)} plots have numbers",
    )
