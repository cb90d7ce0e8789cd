"""All definitions in one place, made from the tables and marts there are."""

import dagster as dg

from ecw_pipeline.defs.automation import EXECUTOR, JOBS, daily_sync, land_finished_exports
from ecw_pipeline.defs.core import core_assets
from ecw_pipeline.defs.exports import export_manifest, export_request
from ecw_pipeline.defs.flat import flat_assets
from ecw_pipeline.defs.marts import mart_assets
from ecw_pipeline.defs.raw import raw_assets
from ecw_pipeline.defs.resources import resources
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.tables import all_tables


def definitions() -> dg.Definitions:
    """Everything this code location offers."""
    tables = list(all_tables(Settings.from_environment().view_definitions).values())
    made_from = (table.resource_type for table in tables if table.resource_type)
    types = dict.fromkeys((*BRIEF_TYPES, *made_from))
    return dg.Definitions(
        assets=[
            export_request,
            export_manifest,
            *raw_assets(tuple(types)),
            *flat_assets(tables),
            core_assets(tables),
            mart_assets(built_in_marts(), frozenset(table.name for table in tables)),
        ],
        jobs=JOBS,
        schedules=[daily_sync],
        sensors=[land_finished_exports],
        resources=resources(),
        executor=EXECUTOR,
    )
