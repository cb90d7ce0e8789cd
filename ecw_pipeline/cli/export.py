"""`ecw export`: ask for data, wait, land, load and publish, without Dagster."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ecw_pipeline.cli.instants import instant
from ecw_pipeline.errors import EcwError, raise_first

if TYPE_CHECKING:
    from ecw_pipeline.ledger_rows import Export
    from ecw_pipeline.stages.lake import Lake


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(run)


FULL = typer.Option("--full", help="Ask for everything anew.")
SINCE = typer.Option(
    parser=instant,
    metavar="INSTANT",
    help="Ask for the changes since then, 2026-01-31 or 2026-01-31T12:00:00Z.",
)
TYPE = typer.Option("--type", metavar="TYPE", help="Only this type; repeatable.")
TYPE_FILTER = typer.Option(
    metavar="SEARCH",
    help="Only what a FHIR search finds, Observation?category=laboratory; repeatable.",
)
PATIENT = typer.Option(metavar="ID", help="Only this patient; repeatable.")
WAIT = typer.Option(help="Wait for the export, then land and load it.")


def run(
    full: Annotated[bool, FULL] = False,
    since: Annotated[datetime | None, SINCE] = None,
    resource_type: Annotated[list[str] | None, TYPE] = None,
    type_filter: Annotated[list[str] | None, TYPE_FILTER] = None,
    patient: Annotated[list[str] | None, PATIENT] = None,
    wait: Annotated[bool, WAIT] = True,
) -> None:
    """Ask every connection for what changed since the last sync, and bring it to the warehouse.

    Stopped or killed, the same command continues. What is narrowed by --type-filter or --patient
    is loaded like all else, and asked for again by the next sync. Example: ecw export --full
    """
    if full and since:
        raise typer.BadParameter("--full asks for more than --since: use one of them")
    from ecw_pipeline.cli.own_views import require_up_to_date, say_own_views
    from ecw_pipeline.fhir.restriction import Restriction
    from ecw_pipeline.stages.lake import Lake
    from ecw_pipeline.stages.plans import Wish
    from ecw_pipeline.stages.sync import ask_all, stale_tables

    lake = Lake.from_environment()
    said = say_own_views(lake)
    errors: list[EcwError] = []
    restriction = Restriction.of(type_filter or (), patient or ())
    wish = Wish(full, since, _known_types(resource_type or ()), restriction)
    today = lake.clock.now().date().isoformat()
    asked = ask_all(lake, today, errors, wish)
    _say(asked)
    if wait and asked:
        try:
            _bring_home(lake, [export.export_id for export in asked])
        except EcwError as error:
            errors.append(error)
    raise_first(errors)
    if wait:
        require_up_to_date(stale_tables(lake), said)


def _known_types(names: Sequence[str]) -> tuple[str, ...]:
    from ecw_pipeline.fhir.structure import is_resource

    for name in names:
        if not is_resource(name):
            raise typer.BadParameter(f"{name} is not a FHIR resource type, such as Observation")
    return tuple(dict.fromkeys(names))


def _say(asked: list["Export"]) -> None:
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.stages.exports import describe

    for words in map(describe, asked):
        console.print(
            f"export {words['export_id']} of {words['connection_id']}: {words['state']},"
            f" changes since {words['since']}",
        )


def _bring_home(lake: "Lake", export_ids: list[str]) -> None:
    from ecw_pipeline.cli.terminal import console, progress
    from ecw_pipeline.stages.sync import bring_home

    with progress("sync") as step:
        synced = bring_home(lake, export_ids, step)
    console.print(
        f"{synced.resources_changed} resources new or changed,"
        f" {synced.resources_deleted} deleted: {lake.folder.warehouse}",
    )
    if synced.lines_quarantined or synced.lines_missing:
        console.print(
            f"look at ops.quarantine and ops.load: {synced.lines_quarantined} lines were refused,"
            f" {synced.lines_missing} fewer came than the server announced",
        )
