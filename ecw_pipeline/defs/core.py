"""Assets of the warehouse's tables. They are loaded together: an export is loaded whole."""

from collections.abc import Iterator, Sequence

import dagster as dg

from ecw_pipeline.defs.core_checks import check_specs, judge
from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.figures import seconds_since
from ecw_pipeline.defs.labels import FRESHNESS, dictionary, tags_of
from ecw_pipeline.defs.partitions import ONE_RUN
from ecw_pipeline.defs.raw import OTHER_TYPES
from ecw_pipeline.defs.resources import LakeResource, WarehouseResource
from ecw_pipeline.defs.table_specs import SCHEMA, columns_of_table, described
from ecw_pipeline.stages.loading import Loaded, load_exports
from ecw_pipeline.stages.tables import Table, why_uncompilable
from ecw_pipeline.warehouse.inspection import TableFacts, table_facts


def core_assets(tables: Sequence[Table]) -> dg.AssetsDefinition:
    """One multi-asset: selecting any table loads every export that is waiting."""
    by_name = {table.name: table for table in tables}

    @dg.multi_asset(
        name="core",
        specs=[_spec(table) for table in tables],
        check_specs=check_specs(tables),
        can_subset=True,
        group_name="core",
        backfill_policy=ONE_RUN,
    )
    def core(
        context: dg.AssetExecutionContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        opened = lake.open()
        began = opened.clock.now()
        with spoken_failures(context):
            loaded = load_exports(opened)
        seconds = seconds_since(opened, began)
        chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
        with warehouse.read() as connection:
            for name in chosen:
                table = by_name[name]
                facts = table_facts(connection, name, table.resource_type)
                checks = list(judge(connection, table, facts, opened.settings))
                yield _result(table, facts, loaded, checks, seconds)

    return core


def _spec(table: Table) -> dg.AssetSpec:
    reason = why_uncompilable(table)
    known = {"view_fails": reason} if reason else {SCHEMA: columns_of_table(table)}
    return dg.AssetSpec(
        key=["core", table.name],
        deps=[dg.AssetKey(["flat", table.name]), OTHER_TYPES],
        description=described(table),
        code_version=table.fingerprint,
        kinds={"duckdb"},
        tags=tags_of(table.resource_type),
        freshness_policy=FRESHNESS,
        metadata={"view_definition": table.origin, **dictionary(f"core.{table.name}"), **known},
    )


def _result(
    table: Table,
    facts: TableFacts,
    loaded: list[Loaded],
    checks: Sequence[dg.AssetCheckResult],
    seconds: float,
) -> dg.MaterializeResult[None]:
    """``seconds`` is what the load of all types took: they are loaded together."""
    mine = [one for one in loaded if one.resource_type == table.resource_type]
    return dg.MaterializeResult(
        asset_key=["core", table.name],
        metadata={
            "dagster/row_count": facts.rows,
            "exports_loaded": len({one.export_id for one in mine}),
            "resources_changed": sum(one.moved.resources_changed for one in mine),
            "resources_deleted": sum(one.moved.resources_deleted for one in mine),
            "load_seconds": seconds,
            "stale": facts.stale_reason or "no",
        },
        check_results=checks,
    )
