"""What to ask a connection for, from what the ledger knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecw_pipeline.bulk_export.planning import (
    ExportPlan,
    LandedType,
    plan_exports,
    types_to_reconcile,
)
from ecw_pipeline.fhir.restriction import UNRESTRICTED, Restriction
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.outcomes import is_in_doubt


@dataclass(frozen=True)
class Wish:
    """What is asked for beside the news of every type: everything anew, the changes since then, of
    some types only, or of some resources only."""

    is_full: bool = False
    since: datetime | None = None
    resource_types: tuple[str, ...] = ()
    restriction: Restriction = UNRESTRICTED

    def __bool__(self) -> bool:
        return self != NEWS

    @property
    def types(self) -> tuple[str, ...]:
        """The types to ask for, those of the filters where none is named; empty for all."""
        return self.resource_types or self.restriction.filtered_types


NEWS = Wish()


def plans_for(
    lake: Lake, connection: Connection, types: Sequence[str], wish: Wish = NEWS
) -> list[ExportPlan]:
    """The exports to ask a connection for, of the types that it offers.

    An export of some resources says nothing of when the others were seen: it is asked for from
    the beginning, where no instant is named.
    """
    if wish.restriction and wish.since is None:
        return [ExportPlan(tuple(types), None)]
    anew = types if wish.is_full else _types_to_reconcile(lake, connection)
    return plan_exports(types, landed_types(lake, connection), anew=anew, since=wish.since)


def landed_types(lake: Lake, connection: Connection) -> list[LandedType]:
    """What has landed of a connection at its present level and group.

    An export that is still landing does not count: nothing of it is loaded before all of it is.
    Nor does a type without a file beside errors: it is asked for again from where it was known.
    """
    ledger, landed = lake.ledger, []
    for export in _exports_of(ledger, connection):
        if export.has_arrived and not is_on_its_way(ledger, export):
            landed += [
                LandedType(one.resource_type, export.since, export.known_at)
                for one in ledger.types(export.export_id)
                if one.state in ("landed", "loaded")
                and not is_in_doubt(lake, export, one.resource_type)
            ]
    return landed


def _types_to_reconcile(lake: Lake, connection: Connection) -> frozenset[str]:
    """The types of a connection that it is time to ask for from the beginning again."""
    last_full = {
        name: export.intended_at
        for export in _exports_of(lake.ledger, connection)
        if export.since is None
        for name in export.resource_types
    }
    every = timedelta(days=lake.settings.reconcile_days)
    return types_to_reconcile(last_full, lake.clock.now(), every)


def _exports_of(ledger: Ledger, connection: Connection) -> list[Export]:
    """A connection's unrestricted exports at its present level and group, oldest first."""
    return [
        export
        for export in ledger.exports(connection.connection_id)
        if not export.restriction
        and (export.level, export.group_id) == (connection.level, connection.group_id)
    ]


def is_covered(
    running: Sequence[Export], connection: Connection, wish: Wish, offered: Sequence[str]
) -> bool:
    """Whether exports that are under way bring all that is wished for.

    ``offered`` is what there is where no type is named: it matters beside partial exports alone.
    """
    if not all(_covers(export, connection, wish) for export in running):
        return False
    if any(not export.resource_types for export in running):
        return True
    is_partial = any(export.is_partial for export in running)
    wanted = wish.types or (offered if is_partial else ())
    if is_partial and not wanted:
        return False
    return {name for export in running for name in export.resource_types}.issuperset(wanted)


def _covers(export: Export, connection: Connection, wish: Wish) -> bool:
    """Whether an export leaves out nothing of what is wished for of its types."""
    if (export.level, export.group_id) != (connection.level, connection.group_id):
        return False
    if export.restriction and export.restriction != wish.restriction:
        return False
    if export.since is None:
        return True
    is_from_the_beginning = wish.is_full or (bool(wish.restriction) and wish.since is None)
    return not is_from_the_beginning and (wish.since is None or wish.since >= export.since)


def is_on_its_way(ledger: Ledger, export: Export) -> bool:
    """Whether types of an export, or what it says is deleted, have not landed yet."""
    return any(one.state == "pending" for one in ledger.types(export.export_id)) or any(
        file.kind == "deleted" and file.state != "landed" for file in ledger.files(export.export_id)
    )
