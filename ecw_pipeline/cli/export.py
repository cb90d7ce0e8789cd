"""`ecw export`: ask for data, wait, land, load and publish, without Dagster."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecw_pipeline.ledger import Export
    from ecw_pipeline.stages.lake import Lake


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(run)


def run(
    full: Annotated[bool, typer.Option("--full", help="Ask for everything anew.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the export, then land and load it.")] = True,
) -> None:
    """Ask every connection for what changed since the last sync, and bring it to the warehouse.

    Stopped or killed, the same command continues. Example: ecw export --full
    """
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.stages import exports
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    today = lake.clock.now().date().isoformat()
    asked = [
        export
        for connection in lake.connections()
        for export in _asked(lake, connection.connection_id, today, full)
    ]
    for export in asked:
        words = exports.describe(export)
        console.print(
            f"export {words['export_id']} of {words['connection_id']}: {words['state']},"
            f" changes since {words['since']}",
            highlight=False,
        )
    if wait:
        _bring_home(lake, [export.export_id for export in asked])


def _asked(lake: "Lake", connection_id: str, day: str, full: bool) -> "list[Export]":
    """Ask again today, even where today has an answer: a person at a terminal wants news."""
    from ecw_pipeline.stages.exports import start_exports

    connection = lake.connection(connection_id)
    return start_exports(lake, connection, [day], is_full=full, ask_again=True)


def _bring_home(lake: "Lake", export_ids: list[str]) -> None:
    from ecw_pipeline.cli.terminal import console, progress
    from ecw_pipeline.marts.catalog import built_in_marts
    from ecw_pipeline.stages import exports, landing, loading

    with progress("sync") as step:
        done = dict.fromkeys(export_ids, 0)

        def watch(export: "Export") -> None:
            done[export.export_id] = int(export.has_arrived)
            step("export", sum(done.values()), len(done))

        arrived = exports.wait_for_exports(lake, export_ids, watch)
        for export in arrived:
            landing.land_side_files(lake, export)
            types = lake.ledger.types(export.export_id)
            for number, one in enumerate(types, start=1):
                landing.land_type(lake, export, one.resource_type)
                step("land", number, len(types))
        loaded = loading.load_exports(lake)
        marts = loading.build_marts(lake, built_in_marts().values())
        step("marts", len(marts), len(marts))
    changed = sum(one.moved.resources_changed for one in loaded)
    deleted = sum(one.moved.resources_deleted for one in loaded)
    console.print(f"{changed} resources new or changed, {deleted} deleted: {lake.folder.warehouse}")
