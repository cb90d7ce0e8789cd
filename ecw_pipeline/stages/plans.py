"""What to ask a connection for, from what the ledger knows of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from ecw_pipeline.bulk_export.planning import (
    ExportPlan,
    LandedType,
    plan_exports,
    types_to_reconcile,
)
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.ledger import Export, Ledger
from ecw_pipeline.stages.lake import Lake


def plans_for(
    lake: Lake,
    connection: Connection,
    wanted: Sequence[str],
    *,
    is_full: bool = False,
    since: datetime | None = None,
) -> list[ExportPlan]:
    """The exports to ask a connection for, of the types wanted."""
    anew = wanted if is_full else _types_to_reconcile(lake, connection)
    return plan_exports(wanted, landed_types(lake.ledger, connection), anew=anew, since=since)


def landed_types(ledger: Ledger, connection: Connection) -> list[LandedType]:
    """What has landed of a connection at its present level and group.

    An export that is still landing does not count: nothing of it is loaded before all of it is.
    """
    landed = []
    for export in _exports_of(ledger, connection):
        if export.has_arrived and not is_on_its_way(ledger, export):
            landed += [
                LandedType(one.resource_type, export.since, export.known_at)
                for one in ledger.types(export.export_id)
                if one.state in ("landed", "loaded")
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
    """A connection's exports at its present level and group, oldest first."""
    return [
        export
        for export in ledger.exports(connection.connection_id)
        if (export.level, export.group_id) == (connection.level, connection.group_id)
    ]


def is_on_its_way(ledger: Ledger, export: Export) -> bool:
    """Whether types of an export, or what it says is deleted, have not landed yet."""
    return any(one.state == "pending" for one in ledger.types(export.export_id)) or any(
        file.kind == "deleted" and file.state != "landed" for file in ledger.files(export.export_id)
    )
