"""Assets of flattening: one per table, one step per resource type."""

from collections.abc import Iterator, Sequence

import dagster as dg

from ecw_pipeline.defs.failures import first_error, spoken_failures
from ecw_pipeline.defs.partitions import DAYS, ONE_RUN, exports_of_run
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.errors import EcwError
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.stages.flattening import flatten
from ecw_pipeline.stages.tables import Table


def flat_assets(tables: Sequence[Table]) -> list[dg.AssetsDefinition]:
    """An asset per table: its rows of each export, as Parquet."""
    types = dict.fromkeys(table.resource_type for table in tables)
    return [_step(name, [t for t in tables if t.resource_type == name]) for name in types]


def _step(resource_type: str, tables: Sequence[Table]) -> dg.AssetsDefinition:
    """All tables of one type; a table that fails is not materialized, the others are."""
    by_name = {table.name: table for table in tables}

    @dg.multi_asset(
        name=f"flat_{snake_case(resource_type)}",
        specs=[_spec(table) for table in tables],
        can_subset=True,
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
    )
    def flat(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        opened = lake.open()
        exports = [export for export in exports_of_run(context, opened) if export.has_arrived]
        errors: list[EcwError] = []
        for name in sorted(key.path[-1] for key in context.selected_asset_keys):
            try:
                rows = [flatten(opened, by_name[name], export).rows_written for export in exports]
            except EcwError as error:
                errors.append(error)
            else:
                yield dg.MaterializeResult(
                    asset_key=["flat", name], metadata={"rows_written": sum(rows)}
                )
        with spoken_failures(context):
            first_error(errors)

    return flat


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=["flat", table.name],
        deps=[dg.AssetKey(["raw", table.resource_type])],
        description=table.description,
        code_version=table.fingerprint,
        group_name="flat",
        kinds={"parquet"},
        skippable=True,
    )
