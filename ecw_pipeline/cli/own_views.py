"""What commands that load say of the user's own views: what they replace, and which fail."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import typer

from ecw_pipeline.errors import UnsupportedViewError

if TYPE_CHECKING:
    from ecw_pipeline.stages.lake import Lake


def say_own_views(lake: "Lake") -> frozenset[str]:
    """Say which built-in views are replaced and which views fail; returns the tables of those.

    Raises:
        ConfigurationError: the folder of views cannot be read.
    """
    from ecw_pipeline.stages.tables import why_uncompilable

    own = [table for table in lake.tables.values() if table.own]
    for table in own:
        if table.is_override:
            typer.echo(f"core.{table.name}: {table.origin}")
    failing = {table.name: reason for table in own if (reason := why_uncompilable(table))}
    for name, reason in failing.items():
        typer.echo(f"warning: core.{name} is left as it is: {reason}", err=True)
    return frozenset(failing)


def require_up_to_date(stale_tables: Mapping[str, str], said: Collection[str]) -> None:
    """Let the command end with the exit code of a view that fails, when everything else is done.

    Raises:
        UnsupportedViewError: tables were left as they were; it names them, and says why where
            that was not said before.
    """
    if stale_tables:
        news = [f"\ncore.{n}: {why}" for n, why in stale_tables.items() if n not in said]
        raise UnsupportedViewError(
            f"everything is loaded but {', '.join(sorted(stale_tables))}:"
            f" their views fail{''.join(news)}",
            "mend the views and run again; ecw status tells them all",
        )
