"""All definitions in one place, made from the tables and marts there are."""

import json
from dataclasses import asdict

import dagster as dg
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)

from ecw_pipeline.defs.alerts import alert_of_failed_checks, alert_of_failed_runs
from ecw_pipeline.defs.attachments import attachments
from ecw_pipeline.defs.automation import (
    EXECUTOR,
    JOBS,
    daily_attachments,
    daily_sync,
    land_finished_exports,
)
from ecw_pipeline.defs.connection_check import connections_answer
from ecw_pipeline.defs.core import core_assets
from ecw_pipeline.defs.exports import export_manifest, export_request
from ecw_pipeline.defs.flat import flat_assets
from ecw_pipeline.defs.labels import owned
from ecw_pipeline.defs.marts import mart_assets
from ecw_pipeline.defs.raw import raw_assets
from ecw_pipeline.defs.report import report_asset
from ecw_pipeline.defs.resources import resources
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.tables import with_own
from ecw_pipeline.view_definitions.catalog import OwnView, own_views

_OWN_VIEWS = "ecw_own_views"


def definitions() -> dg.Definitions:
    """Everything this code location offers."""
    tables = list(with_own(_own_views()).values())
    made_from = (table.resource_type for table in tables if table.resource_type)
    types = dict.fromkeys((*BRIEF_TYPES, *made_from))
    assets = [
        export_request,
        export_manifest,
        *raw_assets(tuple(types)),
        *flat_assets(tables),
        core_assets(tables),
        mart_assets(built_in_marts(), frozenset(table.name for table in tables)),
        report_asset(built_in_marts()),
        attachments,
    ]
    return dg.Definitions(
        assets=owned(assets, Settings.from_environment().alert_email),
        asset_checks=[connections_answer],
        jobs=JOBS,
        schedules=[daily_sync, daily_attachments],
        sensors=[land_finished_exports, alert_of_failed_runs, alert_of_failed_checks],
        resources=resources(),
        executor=EXECUTOR,
    )


def _own_views() -> dict[str, OwnView]:
    """The user's views as they were when the code location was loaded.

    Each run loads it once more, in a process of its own. Were it to find other views there, the
    run would lack steps that are planned already, and fail whole.
    """
    context = DefinitionsLoadContext.get()
    known = context.reconstruction_metadata if _is_again(context) else {}
    text = known.get(_OWN_VIEWS) or json.dumps(
        [asdict(own) for own in own_views(Settings.from_environment().view_definitions).values()]
    )
    context.add_to_pending_reconstruction_metadata(_OWN_VIEWS, text)
    return {own["name"]: OwnView(**own) for own in json.loads(text)}


def _is_again(context: DefinitionsLoadContext) -> bool:
    return context.load_type is DefinitionsLoadType.RECONSTRUCTION
