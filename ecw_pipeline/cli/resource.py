"""`ecw resource`: one resource as it was received."""

from datetime import datetime
from typing import Annotated

import typer

from ecw_pipeline.cli.instants import instant


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("resource")(run)


def run(
    reference: Annotated[str, typer.Argument(metavar="TYPE/ID", help="Such as Observation/b1.")],
    connection: Annotated[str, typer.Option(help="The connection it is from.")] = "",
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="INSTANT",
            help="As it was then, 2026-01-31 or 2026-01-31T12:00:00Z.",
        ),
    ] = None,
) -> None:
    """Print a resource as the server sent it: its line of the received file, unchanged.

    Example: ecw resource Observation/b1 | jq
    """
    from ecw_pipeline.fhir.resource_types import is_type_name
    from ecw_pipeline.settings import Settings
    from ecw_pipeline.stages.originals import find_version, received_line

    resource_type, _, resource_id = reference.partition("/")
    if not is_type_name(resource_type) or not resource_id:
        raise typer.BadParameter(f"{reference} is not of the form Observation/b1")
    folder = Settings.from_environment().folder
    version = find_version(folder, resource_type, resource_id, connection_id=connection, at=at)
    typer.echo(received_line(folder, version))
