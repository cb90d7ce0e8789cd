"""The report as an asset: written anew when the marts are."""

from collections.abc import Iterable

import dagster as dg

from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.labels import FRESHNESS
from ecw_pipeline.defs.partitions import ONE_RUN
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.report.page import write_report


def report_asset(mart_names: Iterable[str]) -> dg.AssetsDefinition:
    """The page, after all marts."""

    @dg.asset(
        deps=[dg.AssetKey(["marts", name]) for name in mart_names],
        group_name="report",
        kinds={"html"},
        freshness_policy=FRESHNESS,
        backfill_policy=ONE_RUN,
    )
    def report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
        """One page of plots: volume, freshness, completeness, people, turnaround, rates."""
        opened = lake.open()
        target = opened.folder.report
        with spoken_failures(context):
            drawn = write_report(opened.folder.warehouse, target, opened.clock.now())
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(target)),
                "plots_with_numbers": dg.MetadataValue.text(", ".join(drawn) or "none"),
            }
        )

    return report
