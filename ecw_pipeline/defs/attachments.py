"""The documents of current resources as an asset: run on its own, after the loads."""

import dagster as dg

from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.partitions import ONE_RUN
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.errors import EcwError, raise_first
from ecw_pipeline.stages.attachments import fetch_attachments
from ecw_pipeline.warehouse.attachments import SOURCE_TABLES


class AttachmentsConfig(dg.Config):
    """Whether to ask also for what was gone, refused or not as told."""

    retry: bool = False


@dg.asset(
    deps=[dg.AssetKey(["core", name]) for name in SOURCE_TABLES],
    group_name="attachments",
    kinds={"fhir", "file"},
    backfill_policy=ONE_RUN,
)
def attachments(
    context: dg.AssetExecutionContext, config: AttachmentsConfig, lake: LakeResource
) -> dg.MaterializeResult[None]:
    """Fetch the documents that are missing, last of all requests; core.attachment joins them."""
    errors: list[EcwError] = []
    with spoken_failures(context):
        attached = fetch_attachments(lake.open(), errors, retry=config.retry)
        raise_first(errors)
    counts = {
        f"{name}/{state}": count
        for name, states in attached.states.items()
        for state, count in states.items()
    }
    return dg.MaterializeResult(metadata={"fetched_now": attached.fetched, **counts})
