"""Assets of flattening: one per table."""

from collections.abc import Sequence

import dagster as dg

from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.partitions import DAYS, ONE_RUN, exports_of_run
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.stages.flattening import flatten
from ecw_pipeline.stages.tables import Table


def flat_assets(tables: Sequence[Table]) -> list[dg.AssetsDefinition]:
    """An asset per table: its rows of each export, as Parquet."""
    return [_flat_asset(table) for table in tables]


def _flat_asset(table: Table) -> dg.AssetsDefinition:
    @dg.asset(
        key=["flat", table.name],
        deps=[dg.AssetKey(["raw", table.resource_type])],
        description=table.description,
        code_version=table.fingerprint,
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        group_name="flat",
        kinds={"parquet"},
    )
    def flat(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
        with spoken_failures():
            opened = lake.open()
            exports = [e for e in exports_of_run(context, opened) if e.has_arrived]
            rows = [flatten(opened, table, export).rows_written for export in exports]
        return dg.MaterializeResult(metadata={"rows_written": sum(rows), "exports": len(rows)})

    return flat
