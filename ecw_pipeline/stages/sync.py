"""The whole job in one call, without Dagster: ask, wait, land, load, build marts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ecw_pipeline.errors import ConfigurationError, EcwError, MachineError, raise_first
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages import exports, landing, loading
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.offers import offer_of
from ecw_pipeline.stages.plans import NEWS, Wish
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.warehouse import bookkeeping
from ecw_pipeline.warehouse.database import read_published


@dataclass(frozen=True)
class Synced:
    """What a sync changed in the warehouse."""

    exports: tuple[str, ...]
    resources_changed: int
    resources_deleted: int
    lines_quarantined: int
    lines_missing: int


def ask_all(
    lake: Lake,
    day: str,
    errors: list[EcwError],
    wish: Wish = NEWS,
) -> list[Export]:
    """Ask every connection for news, even where the day has an answer already.

    A connection that cannot be asked leaves its error in ``errors``; the others are asked.

    Raises:
        ConfigurationError: the connections file, or the folder of views, cannot be read: nothing is
            asked.
    """
    _ = lake.tables
    asked: list[Export] = []
    for connection in lake.usable_connections(errors):
        try:
            asked += exports.start_exports(lake, connection, [day], wish, ask_again=True)
        except EcwError as error:
            errors.append(error)
    return asked


def ask_for_types(
    lake: Lake,
    connection: Connection,
    days: Sequence[str],
    wanted: Sequence[str],
    since: datetime | None = None,
) -> list[Export]:
    """Ask a connection for those of some types that its server has for us.

    Raises:
        ConfigurationError: it has none of them.
        EcwError: the server cannot be reached, or refuses.
    """
    with lake.client(connection.connection_id) as client:
        offer = offer_of(replace(connection, resource_types=tuple(wanted)), client)
    if not offer.available:
        raise ConfigurationError(f"nothing is to be had: {offer.in_words}", "ecw doctor")
    wish = Wish(since=since, resource_types=offer.available)
    return exports.start_exports(lake, connection, days, wish)


def bring_home(lake: Lake, export_ids: Sequence[str], step: Step = silent) -> Synced:
    """Wait for exports, land every type, load what has landed and build the marts.

    Raises:
        EcwError: something failed; the same call continues where it stopped. What could be had
            is loaded all the same.
    """
    errors: list[EcwError] = []
    for export in _wait(lake, export_ids, step):
        try:
            errors += _land(lake, exports.require_arrived(export), step)
        except EcwError as error:
            errors.append(error)
    for failure in errors:
        if isinstance(failure, MachineError):
            raise failure  # a full disk is in the way of the load too
    loaded = loading.load_exports(lake)
    counted = [
        landing.counts_of(lake, lake.ledger.export(one.export_id), one.resource_type)
        for one in loaded
    ]
    built = loading.build_marts(lake, lake.marts.values(), errors)
    step("marts", len(built), len(lake.marts))
    raise_first(errors)
    return Synced(
        tuple(export_ids),
        sum(one.moved.resources_changed for one in loaded),
        sum(one.moved.resources_deleted for one in loaded),
        sum(count.lines_quarantined for count in counted)
        + landing.deletions_refused(lake, export_ids),
        sum(count.lines_missing for count in counted),
    )


def stale_tables(lake: Lake) -> dict[str, str]:
    """The published tables that were left as they were because their view fails, with why."""
    if not lake.folder.warehouse.exists():
        return {}
    with read_published(lake.folder.warehouse) as connection:
        return bookkeeping.stale_tables(connection)


def _wait(lake: Lake, export_ids: Sequence[str], step: Step) -> list[Export]:
    done = dict.fromkeys(export_ids, 0)

    def watch(export: Export) -> None:
        done[export.export_id] = int(export.has_arrived)
        step("export", sum(done.values()), len(done))

    return exports.wait_for_exports(lake, export_ids, watch)


def _land(lake: Lake, export: Export, step: Step) -> list[EcwError]:
    """Land what can be had of an export; returns what failed."""
    errors: list[EcwError] = []
    try:
        landing.land_deletions(lake, export)
    except EcwError as error:
        return [error]  # without its deletions an export is not whole
    try:
        landing.land_outcomes(lake, export)
    except EcwError as error:
        errors.append(error)
    types = lake.ledger.types(export.export_id)
    for number, one in enumerate(types, start=1):
        try:
            landing.land_type(lake, export, one.resource_type)
        except EcwError as error:
            errors.append(error)
        step("land", number, len(types))
    return errors
