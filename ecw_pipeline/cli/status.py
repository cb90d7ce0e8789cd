"""`ecw status`: connections, exports and what is loaded, on one screen."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ecw_pipeline.stages.lake import Lake
    from ecw_pipeline.warehouse.inspection import TypeFacts

NEWEST = 10


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(run)


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show connections, exports, what there is of each type and as of when, and what fails.

    Example: ecw status --json
    """
    import json

    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    state: dict[str, Any] = {
        "connections": _connections(lake),
        "budget": _budget(lake),
        **_problems(lake),
        "missing_types": _missing_types(lake),
        "exports": _exports(lake),
        **_published(lake, with_tables=as_json),
    }
    if as_json:
        typer.echo(json.dumps(state, indent=2, default=str))
    else:
        _print(lake, state)


def _print(lake: "Lake", state: dict[str, Any]) -> None:
    from rich.markup import escape

    from ecw_pipeline.cli.terminal import console, show_rows

    console.print(f"data: {lake.folder.root}")
    for connection_id in state["connections"]:
        words = state["budget"].get(connection_id) or _why_unknown(lake, connection_id)
        console.print(f"connection {connection_id}: {words}")
    for words in state["problems"]:
        console.print(f"[red]problem[/red] {escape(words)}")
    for check in state["failing_checks"]:
        words = "[red]check fails[/red]" if check["severity"] == "ERROR" else "check warns"
        console.print(f"{words} {escape(check['in_words'])}")
    for connection_id, words in state["missing_types"].items():
        console.print(f"{connection_id}: {words}")
    several = len(state["connections"]) > 1
    exports = [_export_in_short(one, several=several) for one in state["exports"]]
    _show("Newest exports", exports, show_rows)
    _show("Types", [_type_in_short(o, several=several) for o in state["types"]], show_rows)
    for one in state["views"]:
        fails = f"\n  fails: {one['fails']}" if one["fails"] else ""
        typer.echo(f"{one['table']}: {one['view']}{fails}")
    if not state["exports"]:
        console.print("nothing has been asked for yet: ecw export, or ecw demo to try it out")


def _why_unknown(lake: "Lake", connection_id: str) -> str:
    """What there is to do about a connection that cannot be asked."""
    from ecw_pipeline.cli.sandbox_connection import CONNECTION_ID

    known = {one.connection_id: one for one in lake.settings.connections()}
    if one := known.get(connection_id):
        is_begun = one.client_id or one.fhir_endpoint
        return "not configured fully: ecw doctor" if is_begun else "not set up yet: ecw init"
    if connection_id == CONNECTION_ID:
        return "the sandbox of ecw demo, which has ended"
    return "no longer in the settings"


def _export_in_short(export: dict[str, Any], *, several: bool) -> dict[str, Any]:
    """What fits into a terminal's 80 columns."""
    notes = (export[name] for name in ("progress", "error", "left", "amiss"))
    return (
        {"export": export["export_id"]}
        | ({"connection": export["connection_id"]} if several else {})
        | {"state": export["state"], "since": export["since"][:16].replace("T", " ")}
        | {"note": "; ".join(note for note in notes if note)}
    )


def _type_in_short(one: dict[str, Any], *, several: bool) -> dict[str, Any]:
    late = ", late" if one["is_late"] else ""
    return ({"connection": one["connection_id"]} if several else {}) | {
        "type": one["resource_type"],
        "resources": one["resources"],
        "as of": f"{one['data_as_of']}{late}",
        "refused": one["lines_quarantined"],
    }


def _show(title: str, objects: list[dict[str, Any]], show: Any) -> None:
    if objects:
        columns = list(objects[0])
        show(columns, [[one[name] for name in columns] for one in objects], title)


def _budget(lake: "Lake") -> dict[str, str]:
    """How much of each window is used, by connection; without those that lack a setting."""
    from ecw_pipeline.errors import ConfigurationError
    from ecw_pipeline.fhir_client.budget import Budget
    from ecw_pipeline.fhir_client.providers import connect

    found = {}
    for one in lake.settings.connections():
        try:
            connection = connect(one)
        except ConfigurationError:
            continue
        path = lake.folder.budget(one.connection_id)
        found[one.connection_id] = Budget(path, connection.windows, lake.clock).in_words()
    return found


def _problems(lake: "Lake") -> dict[str, Any]:
    """What keeps exports from arriving, and the checks that fail, or why these cannot be told."""
    from dataclasses import asdict

    from ecw_pipeline.cli.failing_checks import failing_checks
    from ecw_pipeline.errors import MachineError
    from ecw_pipeline.stages.troubles import troubles

    problems = [one.words for one in troubles(lake)] if lake.folder.ledger.exists() else []
    try:
        failing = failing_checks(lake.folder.dagster)
    except MachineError as error:
        return {"problems": [*problems, str(error)], "failing_checks": []}
    told = [asdict(one) | {"in_words": one.in_words} for one in failing]
    return {"problems": problems, "failing_checks": told}


def _published(lake: "Lake", *, with_tables: bool) -> dict[str, Any]:
    """What readers see: the types, the rows of each table, and views that fail."""
    from ecw_pipeline.warehouse.bookkeeping import stale_tables
    from ecw_pipeline.warehouse.database import read_published
    from ecw_pipeline.warehouse.inspection import rows_per_table, type_facts

    if not lake.folder.warehouse.exists():
        return {"types": [], "tables": [], "views": _views(lake, {})}
    with read_published(lake.folder.warehouse) as connection:
        types, stale = type_facts(connection), stale_tables(connection)
        counts = rows_per_table(connection, ("core", "marts")) if with_tables else {}
    return {
        "types": [_type(one, lake.clock.now()) for one in types],
        "tables": [{"table": name, "rows": count} for name, count in counts.items() if count],
        "views": _views(lake, stale),
    }


def _connections(lake: "Lake") -> list[str]:
    """Those that are set, and those whose exports are here all the same."""
    names = [one.connection_id for one in lake.settings.connections()]
    known = lake.ledger.exports() if lake.folder.ledger.exists() else []
    return list(dict.fromkeys([*names, *(export.connection_id for export in known)]))


def _type(facts: "TypeFacts", now: datetime) -> dict[str, Any]:
    """What there is of a type, with instants to the minute."""
    from dataclasses import asdict

    from ecw_pipeline.stages.troubles import LATE_AFTER

    def shown(value: Any) -> Any:
        is_instant = isinstance(value, datetime)
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}Z" if is_instant else value

    told = {name: shown(value) for name, value in asdict(facts).items()}
    is_late = facts.data_as_of is not None and now - facts.data_as_of > LATE_AFTER
    return told | {"is_late": is_late}


def _missing_types(lake: "Lake") -> dict[str, str]:
    """The types that were wanted in vain, in words, by connection."""
    from ecw_pipeline.stages.offers import known_offer

    names = (one.connection_id for one in lake.settings.connections())
    said = {name: known_offer(lake, name).in_words for name in names}
    return {name: words for name, words in said.items() if words}


def _exports(lake: "Lake") -> list[dict[str, Any]]:
    from ecw_pipeline.stages.exports import describe
    from ecw_pipeline.stages.forecast import left_to_fetch
    from ecw_pipeline.stages.shortfalls import shortfalls

    if not lake.folder.ledger.exists():
        return []
    newest = lake.ledger.exports()[-NEWEST:]
    names = ("export_id", "connection_id", "state", "since", "progress", "error")
    return [
        {name: describe(export)[name] for name in names}
        | {"left": left_to_fetch(lake, export), "amiss": "; ".join(shortfalls(lake, export))}
        for export in reversed(newest)
    ]


def _views(lake: "Lake", stale: dict[str, str]) -> list[dict[str, Any]]:
    """The user's own views, and every table that was left as it was, with why."""
    from ecw_pipeline.stages.tables import why_uncompilable

    # To compile every view takes longer than all the rest.
    tables = lake.tables if stale or lake.settings.view_definitions else {}
    own = {name: table for name, table in tables.items() if table.own}
    failing = stale | {n: why for n, t in own.items() if (why := why_uncompilable(t))}
    return [
        {
            "table": f"core.{name}",
            "view": tables[name].origin if name in tables else "none",
            "fails": failing.get(name, ""),
        }
        for name in sorted(own.keys() | failing.keys())
    ]
