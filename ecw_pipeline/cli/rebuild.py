"""`ecw rebuild`: make the warehouse anew from the files that were received."""

from typing import Annotated

import typer

from ecw_pipeline.errors import EcwError, raise_first


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild")(run)


def run(
    table: Annotated[str, typer.Option(help="Only this table of core and history.")] = "",
) -> None:
    """Make the warehouse anew from the files that were received, without the network.

    Readers keep the old one until the new one is whole. Stopped or killed, the same command
    continues. Example: ecw rebuild --table observation
    """
    from ecw_pipeline.cli.own_views import require_up_to_date, say_own_views
    from ecw_pipeline.cli.terminal import console, progress
    from ecw_pipeline.stages.lake import Lake
    from ecw_pipeline.stages.rebuilding import rebuild, rebuild_table
    from ecw_pipeline.stages.sync import stale_tables

    lake = Lake.from_environment()
    said = say_own_views(lake)
    errors: list[EcwError] = []
    with progress("rebuild") as step:
        if table:
            rebuild_table(lake, table, errors, step)
        else:
            rebuild(lake, errors, step)
    name = f"core.{table} and history.{table}" if table else "everything"
    console.print(f"{name} made anew: {lake.folder.warehouse}")
    raise_first(errors)
    require_up_to_date(stale_tables(lake), said)
